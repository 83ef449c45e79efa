"""CSV: one image per line, the label first, then the pixels; with or without a header line, gzipped or not.

NumPy parses blocks of lines. A block with errors or decimal points is parsed again line by line.
"""

import io
import warnings
from collections.abc import Iterator
from math import isqrt
from pathlib import Path

import numpy as np

from byhand.data.dataset import Bytes, Dataset
from byhand.data.formats import pieces
from byhand.errors import DataError
from byhand.text import counted

BLOCK = 1 << 18
MAX_LINE = 1 << 22
MAX_LABEL, MAX_PIXEL = 9, 255


def read(path: Path) -> Dataset:
    """Read the images and labels of one file."""
    tables: list[Bytes] = []
    columns = line = 0
    for block in _blocks(path):
        if line == 0:
            first, _, rest = block.partition(b"\n")
            columns, is_header = _first_line(path, first)
            block, line = (rest, 2) if is_header else (block, 1)  # noqa: PLW2901
        table = _parse_block(block, columns)
        if table is None:
            table = _parse_lines(path, block, columns, line)
        tables.append(table)
        line += len(table)
    if not sum(map(len, tables)):
        raise DataError(f"{path}: must have at least one line of numbers, got none")
    side = isqrt(columns - 1)
    images = np.concatenate([table[:, 1:] for table in tables]).reshape(-1, side, side)
    labels = np.concatenate([table[:, 0] for table in tables])
    return Dataset(images, labels, name=str(path))


def has_labels(path: Path) -> bool:
    """Return False if the number of columns is a square, as in Kaggle's test.csv."""
    columns = next(_blocks(path), b"").partition(b"\n")[0].count(b",") + 1
    return isqrt(columns) ** 2 != columns or isqrt(columns - 1) ** 2 == columns - 1


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield blocks of complete lines, without blank lines at the end of the file."""
    rest, is_first = b"", True
    for piece in pieces(path, BLOCK):
        rest += piece.removeprefix(b"\xef\xbb\xbf") if is_first else piece
        is_first = False
        # The end of the piece may be half a line, or blank lines at the end of the file.
        whole = rest.rstrip()
        cut = whole.rfind(b"\n") + 1
        rest = rest[cut:]
        if len(rest) > MAX_LINE:
            raise DataError(f"{path}: a line must have at most {MAX_LINE:,} bytes, one has more")
        if cut:
            yield whole[:cut].replace(b"\r\n", b"\n")
    if rest := rest.rstrip():
        yield rest + b"\n"


def _first_line(path: Path, line: bytes) -> tuple[int, bool]:
    """Return the number of columns, and True if the line is a header: names, or 0, 1, 2, … beyond the pixel range."""
    fields = [_number(field) for field in line.split(b",")]
    columns = len(fields)
    if isqrt(columns - 1) ** 2 != columns - 1 or columns < 2:
        pixels_only = columns > 1 and isqrt(columns) ** 2 == columns
        got = f"{counted(columns, 'column')}{', pixels without a label' * pixels_only}"
        raise DataError(f"{path}, line 1: must have one column for the label and those of a square image, got {got}")
    names = sum(field is None for field in fields)
    return columns, 2 * names > columns or (columns > MAX_PIXEL + 1 and fields == list(range(columns)))


def _parse_block(block: bytes, columns: int) -> Bytes | None:
    """Return the numbers of a block, or None if they are not all integers in range."""
    try:
        with warnings.catch_warnings(action="error"):  # for decimal points and empty blocks
            table = np.loadtxt(io.BytesIO(block), np.int16, comments=None, delimiter=",", quotechar='"', ndmin=2)
    except (ValueError, Warning):
        return None
    is_right = table.shape == (block.count(b"\n"), columns) and table.min() >= 0 and table.max() <= MAX_PIXEL
    return table.astype(np.uint8) if is_right and table[:, 0].max() <= MAX_LABEL else None


def _parse_lines(path: Path, block: bytes, columns: int, first: int) -> Bytes:
    """Return the numbers of a block that starts in the line `first`, or raise an error."""
    lines = block.split(b"\n")[:-1]
    table = np.empty((len(lines), columns), np.uint8)
    for row, line in enumerate(lines):
        fields = line.split(b",")
        if len(fields) != columns:
            raise DataError(f"{path}, line {first + row}: must have {columns} columns, got {len(fields)}")
        for column, field in enumerate(fields):
            kind, most = ("label", MAX_LABEL) if column == 0 else ("pixel", MAX_PIXEL)
            value = _number(field)
            if value is None or not 0 <= value <= most or value != int(value):
                rule = f"a {kind} must be a whole number from 0 to {most}, got {field[:20].decode('latin1')!r}"
                raise DataError(f"{path}, line {first + row}, column {column + 1}: {rule}")
            table[row, column] = int(value)
    return table


def _number(field: bytes) -> float | None:
    """Return the number in a field, which may be quoted, or None."""
    try:
        return None if b"_" in field else float(field.strip().strip(b'"'))
    except ValueError:
        return None
