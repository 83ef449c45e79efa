"""Bodies: what a request brings, read to a limit and taken for nothing that it doesn't say.

Each handler names the fields it takes and their kinds; anything else is refused with one line.
"""

import base64
import binascii
import json
from typing import Any

import numpy as np
from starlette.requests import Request

from byhand.errors import UsageError
from byhand.nn.arrays import Array

#: No request needs more: a picture is a kilobyte.
MOST_BYTES = 64 * 1024

Kinds = tuple[type, ...]


class TooLargeError(UsageError):
    """A body over the limit."""


async def fields_of(request: Request, **kinds: type | Kinds) -> dict[str, Any]:
    """The JSON object of a request: only the fields named, each of its kind. What is missing is not in the result."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("the content type must be application/json")
    content = await limited(request)
    try:
        body = json.loads(content, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise UsageError("the body must be JSON") from None
    if not isinstance(body, dict):
        raise UsageError("the body must be a JSON object")
    if unknown := [name for name in body if name not in kinds]:
        raise UsageError(f"the body may have {', '.join(kinds) or 'no fields'}; got {', '.join(unknown)}"[:300])
    for name, value in body.items():
        kind = kinds[name]
        wanted = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in wanted:  # isinstance would take true for a number
            names = " or ".join(WORDS[one] for one in wanted)
            raise UsageError(f"{name} must be {names}, got {value!r}"[:200])
    return body


WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def no_constant(name: str) -> float:
    raise ValueError(name)


async def limited(request: Request) -> bytes:
    """The body, as long as it is at most MOST_BYTES."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise TooLargeError(f"the body must be at most {MOST_BYTES:,} bytes")
    return body


def picture_of(base64_bytes: str, shape: tuple[int, int]) -> Array:
    """The picture in a field `pixels`: base64 of its bytes, row by row             → uint8 (H, W)"""
    try:
        content = base64.b64decode(base64_bytes, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("pixels must be base64") from None
    if len(content) != shape[0] * shape[1]:
        raise UsageError(f"pixels must be {shape[0]} × {shape[1]} bytes, got {len(content):,}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def pixels_of(picture: Array) -> str:
    """The other way."""
    return base64.b64encode(np.ascontiguousarray(picture).tobytes()).decode()


def whole(text: str | None, name: str, limit: int) -> int:
    """A query's whole number from 0 to under `limit`."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 12 or int(text) >= limit:
        raise UsageError(f"{name} must be a whole number from 0 to {limit - 1}, got {text!r}"[:200])
    return int(text)


def needed(fields: dict[str, Any], name: str) -> Any:
    """A field that must be there."""
    if name not in fields:
        raise UsageError(f"the body must have {name}")
    return fields[name]
