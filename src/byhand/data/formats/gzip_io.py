"""Packed files: reading what may be gzipped without believing what it claims.

Every reader opens its file here. The bytes come out the same whether the file is packed or not, damage becomes one
`DataError` that names the file, and a small file that would unpack to something huge is stopped at `CEILING`.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from byhand.errors import DataError, DataMissingError

CEILING = 1 << 30  # the largest data set that is read, unpacked: twice MNIST in float64
DEFLATE_LIMIT = 1032  # no byte of a deflate stream unpacks to more than this


@dataclasses.dataclass(frozen=True)
class Held:
    """A file that is in memory: a download that was not yet found to be right, or the bundled sample."""

    name: str
    content: bytes = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return self.name


File = Path | Held


@contextlib.contextmanager
def opened(path: File) -> Iterator[BinaryIO]:
    """`path` for reading, unpacked on the way if it is gzipped; damage found while reading is a `DataError`."""
    try:
        with _plain(path) as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                yield cast(BinaryIO, gzip.GzipFile(fileobj=file))
            else:
                yield cast(BinaryIO, file)
    except EOFError:
        raise DataError(f"{path}: gzip data must be whole, it is cut short") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: gzip data must be undamaged: {shown(error)}") from None
    except FileNotFoundError:
        raise DataMissingError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or shown(error)}") from None


def _plain(path: File) -> io.BufferedReader:
    if isinstance(path, Held):
        return io.BufferedReader(cast(io.RawIOBase, io.BytesIO(path.content)))
    return path.open("rb")


def is_gzipped(path: File) -> bool:
    """Whether the file begins as gzip does, whatever its name says."""
    with _plain(path) as file:
        return file.peek(2)[:2] == b"\x1f\x8b"


def most_bytes(path: File) -> int:
    """No more than this can come out of the file: its size, or what deflate could make of it, up to `CEILING`."""
    try:
        size = len(path.content) if isinstance(path, Held) else path.stat().st_size
        return min(size * DEFLATE_LIMIT if is_gzipped(path) else size, CEILING)
    except OSError:
        return 0  # `opened` says what is wrong with it


def read_all(path: File) -> bytes:
    """The whole file, unpacked; a `DataError` if that is more than `CEILING`."""
    whole = io.BytesIO()
    with opened(path) as file:
        while piece := file.read(1 << 20):
            whole.write(piece)
            if whole.tell() > CEILING:
                raise DataError(f"{path}: must hold at most {CEILING:,} bytes unpacked, it holds more")
    return whole.getvalue()


def head(path: File, count: int = 512) -> bytes:
    """The first bytes, unpacked: enough to tell what kind of file this is."""
    with opened(path) as file:
        return file.read(count)


def shown(text: object, most: int = 120) -> str:
    """Words from a file or another library as they may stand in a message: in one line, printable, not too long."""
    line = "".join(letter if letter.isprintable() else "\N{MIDDLE DOT}" for letter in str(text))
    return line if len(line) <= most else f"{line[:most]}…"


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The checksum of the file as it lies on the disk, packed or not."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
