"""CSV: a line a picture, the label first, then the pixels; a first line of names or none; gzipped or not.

A block of whole lines is read at once by NumPy. A block that isn't plain (numbers with a point, a wrong count) is read
again line by line, which either understands it or raises an error with the line and the column.
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
LONGEST_LINE = 1 << 22
MOST_LABEL, MOST_PIXEL = 9, 255


def read(path: Path) -> Dataset:
    """Return the pictures of one file, (N, side, side)."""
    tables: list[Bytes] = []
    columns = line = 0
    for block in _blocks(path):
        if line == 0:
            first, _, rest = block.partition(b"\n")
            columns, is_header = _first_line(path, first)
            block, line = (rest, 2) if is_header else (block, 1)  # noqa: PLW2901
        table = _at_once(block, columns)
        if table is None:
            table = _line_by_line(path, block, columns, line)
        tables.append(table)
        line += len(table)
    if not sum(map(len, tables)):
        raise DataError(f"{path}: must hold at least one line of numbers, there is none")
    side = isqrt(columns - 1)
    images = np.concatenate([table[:, 1:] for table in tables]).reshape(-1, side, side)
    labels = np.concatenate([table[:, 0] for table in tables])
    return Dataset(images, labels, name=str(path))


def has_labels(path: Path) -> bool:
    """False for a file of pixels alone, as Kaggle's test.csv is: its columns are a square, not a square and one."""
    columns = next(_blocks(path), b"").partition(b"\n")[0].count(b",") + 1
    return isqrt(columns) ** 2 != columns or isqrt(columns - 1) ** 2 == columns - 1


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the file as blocks of whole lines, each ending in one newline; no blank lines at the end."""
    rest, is_first = b"", True
    for piece in pieces(path, BLOCK):
        rest += piece.removeprefix(b"\xef\xbb\xbf") if is_first else piece
        is_first = False
        # The end of the piece waits for the next one: it may be half a line, or blank lines that end the file.
        whole = rest.rstrip()
        cut = whole.rfind(b"\n") + 1
        rest = rest[cut:]
        if len(rest) > LONGEST_LINE:
            raise DataError(f"{path}: a line must be shorter than {LONGEST_LINE:,} bytes, one is longer")
        if cut:
            yield whole[:cut].replace(b"\r\n", b"\n")
    if rest := rest.rstrip():
        yield rest + b"\n"


def _first_line(path: Path, line: bytes) -> tuple[int, bool]:
    """Return the number of columns, and True if the line is a header.

    A header is a line of names, or of the column numbers 0, 1, 2, … that pandas writes for a frame without names
    (if they go beyond what a pixel can be, so that no picture is ever taken for a header).
    """
    fields = [_number(field) for field in line.split(b",")]
    columns = len(fields)
    if isqrt(columns - 1) ** 2 != columns - 1 or columns < 2:
        pixels_only = columns > 1 and isqrt(columns) ** 2 == columns
        got = f"{counted(columns, 'column')}{', pixels without a label' * pixels_only}"
        raise DataError(f"{path}, line 1: must have a column for the label and those of a square picture, got {got}")
    names = sum(field is None for field in fields)
    return columns, 2 * names > columns or (columns > MOST_PIXEL + 1 and fields == list(range(columns)))


def _at_once(block: bytes, columns: int) -> Bytes | None:
    """Return the numbers (rows, columns) of a block of plain lines; None if it isn't plain."""
    try:
        with warnings.catch_warnings(action="error"):  # of a number with a point, of a block without numbers
            table = np.loadtxt(io.BytesIO(block), np.int16, comments=None, delimiter=",", quotechar='"', ndmin=2)
    except (ValueError, Warning):
        return None
    is_right = table.shape == (block.count(b"\n"), columns) and table.min() >= 0 and table.max() <= MOST_PIXEL
    return table.astype(np.uint8) if is_right and table[:, 0].max() <= MOST_LABEL else None


def _line_by_line(path: Path, block: bytes, columns: int, first: int) -> Bytes:
    """Return the same of a block that isn't plain; `first` is the number of its first line in the file."""
    lines = block.split(b"\n")[:-1]
    table = np.empty((len(lines), columns), np.uint8)
    for row, line in enumerate(lines):
        fields = line.split(b",")
        if len(fields) != columns:
            raise DataError(f"{path}, line {first + row}: must have {columns} columns, got {len(fields)}")
        for column, field in enumerate(fields):
            what, most = ("label", MOST_LABEL) if column == 0 else ("pixel", MOST_PIXEL)
            value = _number(field)
            if value is None or not 0 <= value <= most or value != int(value):
                got = field[:20].decode("latin1")
                raise DataError(
                    f"{path}, line {first + row}, column {column + 1}: a {what} must be a whole number "
                    f"from 0 to {most}, got {got!r}"
                )
            table[row, column] = int(value)
    return table


def _number(field: bytes) -> float | None:
    """Return the number in a field, in quotes or not; None if it is none."""
    try:
        return None if b"_" in field else float(field.strip().strip(b'"'))
    except ValueError:
        return None
