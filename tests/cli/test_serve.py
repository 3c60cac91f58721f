"""``dim serve`` from the command line."""

import socket
import sys

import pytest
import uvicorn

from dimcli.core.installing import install
from dimcli.web import server


@pytest.fixture
def served(monkeypatch):
    """The servers that were started; each ends at once, as by Ctrl-C."""
    started = []
    monkeypatch.setattr(server, "live_sessions", lambda name, told: None)

    def run(self, sockets):
        started.append(self)
        sockets[0].close()
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", run)
    return started


def test_it_says_where_it_is_and_ends_by_ctrl_c_without_an_error(dim, served, tmp_path):
    ended = dim("serve", "--port", 0, "--folder", "videos")
    assert ended.code == 0
    port = served[0].address.port
    assert ended.err == f"open http://127.0.0.1:{port}/ (Ctrl-C ends it)\nstopped\n"
    assert (tmp_path / "videos").is_dir()


def test_an_address_that_others_reach_comes_with_a_token(dim, served):
    ended = dim("serve", "--port", 0, "--folder", "videos", "--host", "0.0.0.0")
    assert f"?token={served[0].address.token}" in ended.err


def test_what_cannot_be_served_is_one_line(dim, served, tmp_path):
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, why in (
            (("--port", taken.getsockname()[1]), "pass another --port"),
            (("--host", "nowhere.invalid"), "--host"),
            (("--folder", "file"), "is a file"),
        ):
            ended = dim("serve", "--port", 0, *arguments)
            assert (ended.code, len(ended.err.splitlines())) == (2, 1)
            assert why in ended.err
    assert not served


def test_without_the_servers_packages_it_says_what_to_install(dim, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    ended = dim("serve")
    assert ended.code == 2
    assert install("serve") in ended.err
