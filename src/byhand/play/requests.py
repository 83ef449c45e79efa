"""Requests: authentication, concurrency limit, validation.

The server binds to localhost, but any page in the same browser could call it, by its address or by DNS rebinding.
Therefore `Host` and `Origin` must be this address, and every request below `/api` needs the token of this launch in a
header. The page gets it from the printed address and keeps it for its tab: a cookie would be sent to every server on
this machine, because browsers share cookies between ports. The page's own files hold no secret and need no token.
"""

import asyncio
import base64
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byhand.errors import UsageError
from byhand.nn.arrays import Array
from byhand.play.thread import OverloadedError
from byhand.schema import json_value

# ---- authentication

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
TOKEN_HEADER = "x-byhand-token"
#: Headers of every response: no foreign content, no framing, no caching.
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


class Authentication:
    """ASGI middleware that rejects foreign requests, and those below `/api` without the token of this launch."""

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self.app = app
        self.token = token
        self.hosts = {f"{name}:{port}" for name in LOOPBACK}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(PROTECTION)
            await send(message)

        await (self.rejection(scope) or self.app)(scope, receive, protected)

    def rejection(self, scope: Scope) -> Response | None:
        """Return the response to a request that is rejected, else None."""
        headers = Headers(scope=scope)
        origin, is_api = headers.get("origin"), scope["path"].startswith("/api")
        if headers.get("host", "") not in self.hosts:
            reason = "Host must be this playground's own address"
        elif origin is not None and origin not in {f"http://{name}" for name in self.hosts}:
            reason = "Origin must be this playground's own address"
        elif is_api and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            reason = "requests must come from the playground's own page"
        elif is_api and not secrets.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            reason = "the token must be this launch's: open the address that `byhand play` printed"
        else:
            return None
        return JSONResponse({"error": reason}, status_code=403)


# ---- concurrency


class ConcurrencyLimit:
    """Concurrency limit: `places` requests run, `may_wait` requests wait, others raise `OverloadedError`."""

    def __init__(self, places: int, may_wait: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.may_wait = may_wait

    @contextlib.asynccontextmanager
    async def __call__(self, rest: float = 0.0) -> AsyncIterator[None]:
        """Take a place. Afterwards it stays idle for `rest` times as long as it was used."""
        if self.places.locked() and self.may_wait <= 0:
            raise OverloadedError("too many requests at once: try again in a moment")
        self.may_wait -= 1
        try:
            await self.places.acquire()
        finally:
            self.may_wait += 1
        began = time.monotonic()
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(rest * (time.monotonic() - began), self.places.release)


# ---- validation

#: Maximum size of a body; an image has one kilobyte.
MAX_BYTES = 64 * 1024
#: Maximum seconds for a body.
BODY_TIMEOUT = 10.0


async def fields_of(request: Request, *names: str) -> dict[str, Any]:
    """Return the JSON object in the body of a request; reject fields other than `names`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("the content type must be application/json")
    content = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.stream():
                content += part
                if len(content) > MAX_BYTES:
                    raise HTTPException(413, f"the body must be at most {MAX_BYTES:,} bytes")
    except TimeoutError:
        raise HTTPException(408, f"the body must arrive within {BODY_TIMEOUT:g} seconds") from None
    try:
        body = json_value(content, is_strict=True)
    except UsageError:
        raise UsageError("the body must be JSON") from None
    if not isinstance(body, dict):
        raise UsageError("the body must be a JSON object")
    if unknown := [name for name in body if name not in names]:
        raise UsageError(f"the body may have {', '.join(names)}; got {', '.join(unknown)}")
    return body


def query_integer(request: Request, name: str, limit: int) -> int:
    """Return an integer parameter of the query, in range(limit)."""
    text = request.query_params.get(name)
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 12 or int(text) >= limit:
        raise UsageError(f"{name} must be an integer from 0 to {limit - 1}, got {text!r}")
    return int(text)


def picture_of(pixels: Any, shape: tuple[int, ...]) -> Array:
    """Decode the field `pixels`, base64 of an image's bytes                               → uint8 (H, W)"""
    try:
        content = base64.b64decode(pixels, validate=True)
    except (TypeError, ValueError):
        raise UsageError("pixels must be base64") from None
    if len(content) != shape[0] * shape[1]:
        raise UsageError(f"pixels must be {shape[0]} × {shape[1]} bytes, got {len(content):,}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def pixels_of(picture: Array) -> str:
    """Encode an image: the inverse of `picture_of`."""
    return base64.b64encode(np.ascontiguousarray(picture).tobytes()).decode()
