"""CSV: one image per line, with its label and its pixels; with or without a header line, gzipped or not.

The labels are in the column that the header names (`label`, `class`, `target`, `y`, `digit`), or the first or the last.
NumPy parses blocks of lines. A block with errors or decimal points is parsed again line by line.
"""

import warnings
from collections.abc import Iterator
from math import isqrt
from pathlib import Path

import numpy as np

from byhand.data.dataset import ON_FLOATS, Bytes, Dataset, first_or_last, label_column_named
from byhand.data.formats import pieces
from byhand.errors import DataError
from byhand.text import counted

BLOCK = 1 << 18
MAX_LINE = 1 << 22
MAX_PIXEL = 255
#: Maximum length of a label.
MAX_LABEL = 200


def read(path: Path) -> Dataset:
    """Return the images of one file, (N, side, side). The classes are the labels found."""
    columns, is_header, place = _layout(path)
    tables: list[Bytes] = []
    labels: list[str] = []
    for number, block in enumerate(_blocks(path)):
        if is_header and number == 0:
            block = block.partition(b"\n")[2]  # noqa: PLW2901
        if block:
            names, pixels = _split(path, block, columns, place, first=len(labels) + 1 + is_header)
            labels += names
            tables.append(pixels)
    if not labels:
        raise DataError(f"{path}: must have at least one line of numbers, got none")
    is_number = [_number(label.encode()) is not None for label in labels]
    if not all(is_number) and 2 * sum(is_number) > len(labels):
        odd = is_number.index(False)
        where = f"line {odd + 1 + is_header}, column {place + 1}"
        raise DataError(f"{path}, {where}: a label must be a number, as the others are, got {labels[odd]!r}")
    side = isqrt(columns - 1)
    return Dataset.from_arrays(np.concatenate(tables).reshape(-1, side, side), np.array(labels), name=str(path))


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
            raise DataError(f"{path}: a line must have at most {MAX_LINE:,} bytes, got a longer one")
        if cut:
            yield whole[:cut].replace(b"\r\n", b"\n")
    if rest := rest.rstrip():
        yield rest + b"\n"


def _layout(path: Path) -> tuple[int, bool, int]:
    """Return the number of columns, True if the first line is a header, and the index of the label column.

    A header has names, or the column numbers 0, 1, 2, … that pandas writes (only if they exceed the pixel range).
    Without a name for it, the label column is the first or the last, whichever has the values of labels.
    """
    line = next(_blocks(path), b"").partition(b"\n")[0]
    fields = line.split(b",")
    numbers = [_number(field) for field in fields]
    columns = len(fields)
    if not line.strip():
        raise DataError(f"{path}: must have at least one line of numbers, got none")
    if isqrt(columns - 1) ** 2 != columns - 1 or columns < 2:
        pixels_only = columns > 1 and isqrt(columns) ** 2 == columns
        got = f"{counted(columns, 'column')}{', pixels without a label' * pixels_only}"
        table = f"; for a table of numbers, {ON_FLOATS}" if columns > 1 else ""
        rule = "must have one column for the label and those of a square image"
        raise DataError(f"{path}, line 1: {rule}, got {got}{table}")
    has_names = 2 * sum(number is None for number in numbers) > columns
    is_header = has_names or (columns > MAX_PIXEL + 1 and numbers == list(range(columns)))
    if has_names:
        names = [field.decode("latin1").strip().strip('"') for field in fields]
        if (place := label_column_named(names, str(path))) is not None:
            return columns, True, place
    return columns, is_header, _first_or_last(path, is_header, columns)


def _first_or_last(path: Path, is_header: bool, columns: int) -> int:
    """Return the index of the label column in a file whose header doesn't name it."""
    first: set[str] = set()
    last: set[str] = set()
    rows = 0
    for number, block in enumerate(_blocks(path)):
        lines = block.split(b"\n")[number == 0 and is_header : -1]
        lines = [line for line in lines if line.count(b",") == columns - 1]  # others are reported when they are read
        rows += len(lines)
        first.update(line.partition(b",")[0].decode("latin1").strip('" ') for line in lines)
        last.update(line.rpartition(b",")[2].decode("latin1").strip('" ') for line in lines)
    if not first:
        return 0
    return first_or_last(first, last, rows, str(path)) % columns


def _split(path: Path, block: bytes, columns: int, place: int, *, first: int) -> tuple[list[str], Bytes]:
    """Return the labels and the pixels (rows, columns − 1) of a block; `first` is its first line in the file."""
    lines = block.split(b"\n")[:-1]
    labels, rows = [], []
    for number, line in enumerate(lines, start=first):
        fields = line.split(b",", place + 1)
        label = fields[place].strip().strip(b'"').decode("utf-8", "replace") if len(fields) > place else ""
        if len(fields) <= place or line.count(b",") != columns - 1:
            got = line.count(b",") + 1
            raise DataError(f"{path}, line {number}: must have {columns} columns, got {got}")
        if not label or len(label) > MAX_LABEL:
            rule = f"a label must have 1 to {MAX_LABEL} characters"
            raise DataError(f"{path}, line {number}, column {place + 1}: {rule}, got {len(label)}")
        labels.append(label)
        rows.append(b",".join(fields[:place] + fields[place + 1 :]))
    pixels = _parse_block(rows, columns - 1)
    return labels, _parse_lines(path, rows, place, first) if pixels is None else pixels


def _parse_block(rows: list[bytes], columns: int) -> Bytes | None:
    """Return the pixels (rows, columns) of plain lines; None if they aren't plain."""
    try:
        with warnings.catch_warnings(action="error"):  # of a number with a point, of a block without numbers
            table = np.loadtxt(rows, np.int16, comments=None, delimiter=",", quotechar='"', ndmin=2)
    except (ValueError, Warning):
        return None
    is_right = table.shape == (len(rows), columns) and table.min() >= 0 and table.max() <= MAX_PIXEL
    return table.astype(np.uint8) if is_right else None


def _parse_lines(path: Path, rows: list[bytes], place: int, first: int) -> Bytes:
    """Return the pixels of lines that aren't plain, or raise an error with the line and the column."""
    table = np.empty((len(rows), rows[0].count(b",") + 1), np.uint8)
    for row, line in enumerate(rows):
        for i, field in enumerate(line.split(b",")):
            value = _number(field)
            if value is None or not 0 <= value <= MAX_PIXEL or value != int(value):
                where = f"line {first + row}, column {i + 1 + (i >= place)}"
                got = field[:20].decode("latin1")
                raise DataError(f"{path}, {where}: a pixel must be an integer from 0 to {MAX_PIXEL}, got {got!r}")
            table[row, i] = int(value)
    return table


def _number(field: bytes) -> float | None:
    """Return the number in a field, which may be quoted, or None."""
    try:
        return None if b"_" in field else float(field.strip().strip(b'"'))
    except ValueError:
        return None
