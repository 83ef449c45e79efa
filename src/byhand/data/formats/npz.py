"""Keras's `mnist.npz`: a zip of four arrays, `x_train`, `y_train`, `x_test` and `y_test`.

Each member's header is read here and held against the bytes that are really there; what a header says is never
allocated, and objects (which would need a pickle) are refused.
"""

import ast
import io
import re
import struct
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from byhand.data.dataset import Dataset
from byhand.data.formats import gzip_io as packed
from byhand.errors import DataError

MEMBERS = ("x_train", "y_train", "x_test", "y_test")
MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, OverflowError, LookupError
)  # fmt: skip
NUMBERS = re.compile(r"[<>|=]?(?:[iu][1248]|f[248])|\|b1")


def read(path: Path) -> tuple[Dataset, Dataset | None]:
    """(training set, test set)"""
    x_train, y_train, x_test, y_test = _members(path)
    train = Dataset.from_arrays(x_train, y_train, name=f"{path}: train")
    test = Dataset.from_arrays(x_test, y_test, name=f"{path}: test")
    return train, test


def _members(path: Path) -> list[npt.NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(packed.read_all(path))) as archive:
            # (A zip is read from memory: of a file, the module would allocate what the zip's directory claims.)
            missing = [name for name in MEMBERS if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise DataError(f"{path}: must hold {', '.join(MEMBERS)}, {', '.join(missing)} is missing")
            claimed = sum(archive.getinfo(f"{name}.npy").file_size for name in MEMBERS)
            if claimed > packed.CEILING:
                raise DataError(f"{path}: must hold at most {packed.CEILING:,} bytes unpacked, claims {claimed:,}")
            return [_array(f"{path}: {name}", archive, f"{name}.npy") for name in MEMBERS]
    except DataError:
        raise
    except _DAMAGE as error:
        reason = packed.shown(error) or "it ends early"
        raise DataError(f"{path}: the zip must be undamaged: {reason}") from None


def _array(where: str, archive: zipfile.ZipFile, member: str) -> npt.NDArray[Any]:
    """One .npy: magic, version, length of the header, the header, the numbers."""
    info = archive.getinfo(member)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{where}: must be stored or deflated, is packed by method {info.compress_type}")
    content = io.BytesIO()
    with archive.open(info) as file:
        while piece := file.read(1 << 20):  # piece by piece: the size that the zip claims is never allocated
            content.write(piece)
    return parse(where, content.getvalue())


def parse(where: str, content: bytes) -> npt.NDArray[Any]:
    """The array of a .npy file's bytes."""
    if content[:6] != MAGIC or len(content) < 12:
        raise DataError(f"{where}: must begin as .npy does, got {content[:6].hex(' ') or 'nothing'}")
    width = 2 if content[6] == 1 else 4
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    header = content[8 + width : start]
    if len(header) > LONGEST_HEADER:
        raise DataError(f"{where}: the header must be at most {LONGEST_HEADER:,} bytes, claims {len(header):,}")
    code, fortran, shape = _header(where, header)
    dtype, count = np.dtype(code), prod(shape)
    if count * dtype.itemsize != len(content) - start:
        raise DataError(
            f"{where}: an array of {shape} {dtype} has {max(len(content) - start, 0):,} bytes, which doesn't fit"
        )
    return np.frombuffer(content, dtype, count, start).reshape(shape, order="F" if fortran else "C")


def _header(where: str, header: bytes) -> tuple[str, bool, tuple[int, ...]]:
    """(dtype, Fortran order, shape) of numbers; anything else is an error."""
    try:
        fields = ast.literal_eval(header.decode("latin1").strip())
        code, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
        right = isinstance(code, str) and isinstance(fortran, bool) and isinstance(shape, tuple) and len(shape) <= 4
        if not right or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise DataError(
            f"{where}: the header must tell dtype, order and shape, got {packed.shown(header[:60].decode('latin1'))}"
        ) from None
    if not NUMBERS.fullmatch(code):
        raise DataError(f"{where}: must hold plain numbers, holds {packed.shown(code)}")
    return code, fortran, shape
