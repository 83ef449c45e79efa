"""Requests: authentication, concurrency limit, validation.

The server binds to localhost, but any page in the same browser could call it, by its address or by DNS rebinding.
Therefore `Host` and `Origin` must be this address, and every request below `/api` needs the token of this launch in a
header. The page gets it from the printed address and keeps it for its tab: a cookie would be sent to every server on
this machine, because browsers share cookies between ports. The page's own files hold no secret and need no token.
"""

import asyncio
import base64
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byhand.data import TrainTest
from byhand.data.formats.detect import ENDINGS, DataFiles, detect_format
from byhand.data.formats.image_sets import Lenient
from byhand.data.loading import read
from byhand.errors import DataError, UsageError, printable
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
#: The same for a data set.
MAX_UPLOAD, UPLOAD_TIMEOUT = 256 * 2**20, 120.0
#: Maximum number of pictures and classes of an uploaded data set; larger pictures are shrunk to this side.
MAX_PICTURES, MAX_CLASSES, MAX_SIDE = 20_000, 100, 64
#: Minimum number of pictures: of fewer, no validation set could be held out.
MIN_PICTURES = 20
#: The endings of files that can be uploaded. A folder is uploaded as a zip.
UPLOADS = {ending for kind, endings in ENDINGS.items() if kind != "npy" for ending in endings}


async def parts_of(request: Request, media_type: str, most: int, seconds: float) -> AsyncIterator[bytes]:
    """Yield the parts of a body, which must be of this type, short enough and in time."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != media_type:
        raise UsageError(f"the content type must be {media_type}")
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise HTTPException(413, f"the body must be at most {most:,} bytes")
                yield part
    except TimeoutError:
        raise HTTPException(408, f"the body must arrive within {seconds:g} seconds") from None


async def fields_of(request: Request, *names: str) -> dict[str, Any]:
    """Return the JSON object in the body of a request; reject fields other than `names`."""
    content = b"".join([part async for part in parts_of(request, "application/json", MAX_BYTES, BODY_TIMEOUT)])
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


async def uploaded(request: Request, folder: Path) -> tuple[str, Path]:
    """Write the body to a file in the folder; return the name in the query, without its ending, and the file.

    The name is only shown: it becomes no part of the path.
    """
    name = printable(re.split(r"[/\\]", request.query_params.get("name", ""))[-1].strip(), 60)
    ending = max((ending for ending in UPLOADS if name.lower().endswith(ending)), key=len, default=None)
    if ending is None:
        raise UsageError(f"the file must be one of {', '.join(sorted(UPLOADS))}, got {name!r}")
    path = folder / f"upload{ending}"
    with path.open("wb") as file:
        async for part in parts_of(request, "application/octet-stream", MAX_UPLOAD, UPLOAD_TIMEOUT):
            file.write(part)
    return name[: -len(ending)].strip(" .") or "pictures", path


def read_upload(name: str, path: Path) -> tuple[TrainTest, list[str]]:
    """Read an uploaded data set; return it with this name, and the files that were left out, with the reasons."""
    lenient = Lenient(MAX_SIDE, MAX_PICTURES)
    try:
        found = detect_format(path)
        digits = read(DataFiles(found.kind, found.path, found.files, lenient=lenient))
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from None
    count = len(digits.train) + len(digits.test)
    if not MIN_PICTURES <= count <= MAX_PICTURES:
        raise DataError(f"{name}: must have {MIN_PICTURES} to {MAX_PICTURES:,} pictures, got {count:,}")
    if len(digits.classes) > MAX_CLASSES:
        raise DataError(f"{name}: must have at most {MAX_CLASSES} classes, got {len(digits.classes):,}")
    return digits.renamed(name), lenient.left_out
