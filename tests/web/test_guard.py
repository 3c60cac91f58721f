"""Who may talk to the server."""

import socket
from urllib.parse import quote

import pytest

from dimcli.core.errors import InputError
from dimcli.web import limits
from dimcli.web.guard import Guard
from dimcli.web.server import bound
from tests.web.serving import serving


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("videos")) as client:
        yield client


@pytest.fixture(scope="module")
def open_client(tmp_path_factory):
    """Of a server that other machines reach."""
    with serving(tmp_path_factory.mktemp("videos"), host="0.0.0.0") as client:
        yield client


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.9", "", "["])
def test_a_name_that_is_not_this_machines_is_not_answered(client, host):
    answer = client.ask("GET", "/api/videos", Host=host)
    assert answer.status in (400, 421)
    assert b"[]" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST."])
def test_this_machines_names_are_answered(client, host):
    assert client.ask("GET", "/api/videos", Host=f"{host}:{client.address.port}").status == 200


def test_a_page_of_another_site_may_not_use_the_server(client):
    port = client.address.port
    others = ("http://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil")
    for origin in (*others, "http://[", "http://[::1", "http://]"):
        answer = client.ask("POST", "/api/videos", b"{}", Origin=origin)
        assert (answer.status, b"may not use" in answer.body) == (403, True)
    assert client.ask("GET", "/api/videos", Sec_Fetch_Site="cross-site").status == 403
    ours = client.ask("POST", "/api/videos", b"{", Origin=f"http://127.0.0.1:{port}")
    assert ours.status == 400  # it is read, and makes no sense


def test_the_page_loads_nothing_from_elsewhere_and_is_shown_nowhere_else(client):
    policy = client.ask("GET", "/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert client.ask("GET", "/..%2fserver.py").status == 404


def test_only_this_machine_needs_no_token(client, open_client):
    assert client.address.token is None and "token" not in client.address.url
    token = open_client.address.token
    assert token and len(token) >= 32 and open_client.address.url.endswith(f"?token={token}")
    for wrong in ("", token[:-1], f"{token}x", "é"):
        answer = open_client.ask("GET", f"/api/videos?token={quote(wrong)}")
        assert (answer.status, b"a token is needed" in answer.body) == (401, True)
    assert open_client.ask("GET", "/api/videos", Cookie="dim-token=wrong").status == 401
    assert open_client.ask("GET", "/api/videos", Authorization=f"Bearer {token}").status == 200
    kept = open_client.ask("GET", f"/?token={token}")
    assert (kept.status, kept.headers["location"]) == (303, "/")
    cookie = kept.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    assert open_client.ask("GET", "/api/videos", Cookie=cookie.split(";")[0]).status == 200


def test_a_name_is_no_way_round_the_token(open_client):
    answer = open_client.ask(
        "GET",
        "/api/videos",
        Host="evil.example",
        Authorization=f"Bearer {open_client.address.token}",
    )
    assert answer.status == 421
    guard = Guard(None, "0.0.0.0", "t")  # type: ignore[arg-type]
    assert guard.knows("192.168.0.9:80") and guard.knows(socket.gethostname())


def test_connections_on_which_nothing_comes_are_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "HEAD_S", 0.3)
    with serving(tmp_path) as client:
        half = [socket.create_connection(("127.0.0.1", client.address.port)) for _ in range(40)]
        for index, each in enumerate(half):
            each.settimeout(60)
            each.sendall(b"GET / HTTP/1.1\r\nHost:"[: 5 * (index % 5)])
        assert all(each.recv(100) == b"" for each in half)
        monkeypatch.setattr(limits, "HEAD_S", 10.0)
        assert client.ask("GET", "/api/videos").status == 200
        for each in half:
            each.close()


def test_random_bytes_and_huge_heads_do_no_harm(client):
    for junk in (bytes(range(256)) * 300, b"GET /" + b"a" * 200_000, b"\r\n" * 1000):
        with socket.create_connection(("127.0.0.1", client.address.port), 10) as raw:
            try:
                raw.sendall(junk)
                raw.shutdown(socket.SHUT_WR)
                said = raw.recv(100)
            except OSError:
                continue  # it hung up before it had all
            assert said[:12] in (b"", b"HTTP/1.1 400"), said
    assert client.ask("GET", "/api/videos").status == 200


def test_a_port_that_is_taken_and_an_address_that_is_not_here_are_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}: cannot be used"):
            bound("127.0.0.1", port)
    for host in ("203.0.113.7", "no such host", "a" * 300):
        with pytest.raises(InputError, match="--host"):
            bound(host, 0)
