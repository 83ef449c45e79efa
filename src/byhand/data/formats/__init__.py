"""File formats: one module per format; this one opens untrusted files, gzipped or not.

A damaged file raises a `DataError` that names it, and decompression stops at `CEILING`.
"""

import contextlib
import dataclasses
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from byhand.errors import DataError, DataMissingError
from byhand.text import printable

CEILING = 1 << 30  # maximum uncompressed size in bytes: twice MNIST in float64


@dataclasses.dataclass(frozen=True)
class InMemoryFile:
    """A file in memory: a download before its verification, or the bundled sample."""

    name: str
    content: bytes = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return self.name


File = Path | InMemoryFile


@contextlib.contextmanager
def opened(path: File) -> Iterator[BinaryIO]:
    """Open a file and decompress gzip; damage raises a `DataError`, even inside the `with` block."""
    try:
        raw = io.BytesIO(path.content) if isinstance(path, InMemoryFile) else path.open("rb", buffering=0)
        with io.BufferedReader(cast(io.RawIOBase, raw)) as file:
            is_gzipped = file.peek(2)[:2] == b"\x1f\x8b"
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file) if is_gzipped else file)
    except EOFError:
        raise DataError(f"{path}: truncated gzip data") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip data: {printable(error)}") from None
    except FileNotFoundError:
        raise DataMissingError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or printable(error)}") from None


def pieces(path: File, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield the uncompressed content in pieces, at most `CEILING` bytes in total."""
    total = 0
    with opened(path) as file:
        while piece := file.read(size):
            total += len(piece)
            if total > CEILING:
                raise DataError(f"{path}: must have at most {CEILING:,} bytes uncompressed, got more")
            yield piece


def read_all(path: File) -> bytes:
    """Return the uncompressed content."""
    content = io.BytesIO()
    for piece in pieces(path):
        content.write(piece)
    return content.getvalue()
