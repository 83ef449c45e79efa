"""The guard: who may come in. It stands before the whole application.

The server listens on loopback, but any page in the same browser could call it, by its address or by a name that points
to it. So the `Host` must be one of loopback's names with this port, an `Origin` must be this very address, and all but
the address's first call needs the token that was drawn for this launch: in a cookie that no other site's request
carries, or in a header. The refusal is a short JSON.
"""

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost", "[::1]")
TOKEN_HEADER = "x-byhand-token"
#: Sent with every answer: nothing from elsewhere, nowhere inside another page, nothing kept.
PROTECTION = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """An ASGI application around another one. `port` and `token` are this launch's."""

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self.app = app
        self.token = token
        self.hosts = {f"{name}:{port}" for name in NAMES}
        self.cookie = f"byhand-{port}"  # cookies don't know ports: each playground has its own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(PROTECTION)
                if self.token_in_address(scope):
                    headers.append("set-cookie", f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/")
            await send(message)

        await (self.refusal(scope) or self.app)(scope, receive, protected)

    def refusal(self, scope: Scope) -> Response | None:
        """Why not, as an answer; None where it may come in."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return refused("Host must be this playground's own address")
        if origin is not None and origin not in {f"http://{name}" for name in self.hosts}:
            return refused("Origin must be this playground's own address")
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not self.token_in_address(scope):
            return refused("requests must come from the playground's own page")
        if not self.is_known(scope, headers):
            return refused("the token must be this launch's: open the address that `byhand play` printed")
        return None

    def is_known(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request carries this launch's token."""
        if self.token_in_address(scope) or self.is_token(headers.get(TOKEN_HEADER, "")):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return cookie is not None and self.is_token(cookie.value)

    def token_in_address(self, scope: Scope) -> bool:
        """Whether this is the address that was opened in the browser; the page takes the token out of sight."""
        if scope["path"] != "/" or scope["method"] != "GET":
            return False
        try:
            given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get("token", [])
        except ValueError:
            return False
        return any(map(self.is_token, given))

    def is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def refused(reason: str) -> Response:
    return JSONResponse({"error": reason}, status_code=403)
