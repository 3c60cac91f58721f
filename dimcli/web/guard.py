"""Who may talk to the server: checks of every request before anything else sees it.

- **Host.** A foreign site whose name is made to point at this machine (DNS rebinding) is told by
  the name it was asked for: only this machine's names and plain addresses are answered.
- **Origin.** A page of another site may neither change anything nor open a session. Programs send
  no Origin.
- **Token.** Where the server is reached from other machines, a secret that was printed at the
  start is needed: as ``?token=`` (which a page keeps as a cookie), or as ``Authorization: Bearer``.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

COOKIE = "dim-token"


class Guard:
    """Wraps ``app``. ``host`` is the address that is bound to; ``token`` None needs none; pages of
    ``origins`` (``http://localhost:3000``) may use it as its own may."""

    def __init__(
        self, app: ASGIApp, host: str, token: str | None = None, origins: Sequence[str] = ()
    ) -> None:
        self._app, self._token, self._origins = app, token, origins
        self._names = {"localhost", host.lower()}
        if token is not None:
            name = socket.gethostname().lower()
            self._names |= {name, f"{name}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self.refusal(scope)
        if refusal is None:
            await self._app(scope, receive, with_headers(scope, send))
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)

    def refusal(self, scope: Scope) -> Response | None:
        """What is answered instead; None where the request may go on."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.knows(host):
            return _no(421, f"this server is not called {host[:80]!r}; use its address")
        origin = headers.get("origin")
        known = origin is not None and origin.lower() in self._origins
        if origin is not None and not known and _place(origin) != host.lower():
            return _no(403, f"pages of {origin[:80]} may not use this server (see --origin)")
        if not known and headers.get("sec-fetch-site") == "cross-site" and scope["path"] != "/":
            return _no(403, "pages of other sites may not use this server")
        return None if self._token is None else self._without_token(scope, headers, self._token)

    def _without_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if any(map(self._is_token, (_cookie(headers), bearer))):
            return None
        if not self._is_token(query.get("token", "")):
            return _no(
                401, "a token is needed: open the address that `dim serve` printed, or send it"
            )
        if scope["type"] == "websocket" or scope["path"] != "/":
            return None
        kept = RedirectResponse("/", 303)
        kept.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return kept

    def knows(self, host: str) -> bool:
        """Whether a Host header is a name of this machine, or an address."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._token is not None or address.is_loopback

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._token or "").encode())


def _place(origin: str) -> str:
    """Name and port of an Origin; nothing where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _no(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status, {"connection": "close"})


def with_headers(scope: Scope, send: Send) -> Send:
    """``send`` that tells browsers to load nothing from elsewhere and to show this page nowhere
    else."""
    host = Headers(scope=scope).get("host", "")
    policy = (
        f"default-src 'self'; connect-src 'self' ws://{host} wss://{host}; "
        "img-src 'self' blob: data:; media-src 'self' blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    ours = {
        "content-security-policy": policy,
        "cross-origin-resource-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(self), microphone=(self)",
        "cache-control": "no-cache",
    }

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            message["headers"] += [(k.encode(), v.encode("latin-1")) for k, v in ours.items()]
        await send(message)

    return sent


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that binds to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
