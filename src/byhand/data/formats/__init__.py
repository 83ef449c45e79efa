"""File formats: one module reads each of them, and this one has what they share: opening untrusted files.

Every reader opens its file here. The content is the same whether the file is gzipped or not, damage becomes one
`DataError` that names the file, and a small file that would unpack to something huge is stopped at `CEILING`.
`byhand.data.formats.detect` finds out which format lies at a path.
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

CEILING = 1 << 30  # bytes of the largest data set that is read, unpacked: twice MNIST in float64


@dataclasses.dataclass(frozen=True)
class InMemoryFile:
    """A file that is in memory: a download that is not verified yet, or the bundled sample."""

    name: str
    content: bytes = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return self.name


File = Path | InMemoryFile


@contextlib.contextmanager
def opened(path: File) -> Iterator[BinaryIO]:
    """Open `path` for reading, unpacked on the way if it is gzipped; damage found while reading is a `DataError`."""
    try:
        raw = io.BytesIO(path.content) if isinstance(path, InMemoryFile) else path.open("rb", buffering=0)
        with io.BufferedReader(cast(io.RawIOBase, raw)) as file:
            is_gzipped = file.peek(2)[:2] == b"\x1f\x8b"
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file) if is_gzipped else file)
    except EOFError:
        raise DataError(f"{path}: gzip data must be whole, it is cut short") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: gzip data must be undamaged: {printable(error)}") from None
    except FileNotFoundError:
        raise DataMissingError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or printable(error)}") from None


def pieces(path: File, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield the unpacked content piece by piece; a `DataError` if it is more than `CEILING` in all."""
    total = 0
    with opened(path) as file:
        while piece := file.read(size):
            total += len(piece)
            if total > CEILING:
                raise DataError(f"{path}: must hold at most {CEILING:,} bytes unpacked, it holds more")
            yield piece


def read_all(path: File) -> bytes:
    """Return the whole content, unpacked."""
    whole = io.BytesIO()
    for piece in pieces(path):
        whole.write(piece)
    return whole.getvalue()
