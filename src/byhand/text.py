"""Text formatting of numbers, percentages and lists, and suggestions for what was typed."""

import math
import os
import re
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from byhand import errors

NUMBERS = "zero one two three four five six seven eight nine ten".split()  # noqa: SIM905
#: Minimum width of a text beside its label.
MIN_TEXT = 20
UNITS = {"%": 0.01, "k": 1e3}

printable = errors.printable
closest, did_you_mean = errors.closest, errors.did_you_mean


class Lines(str):
    """Text of several lines, which notebooks and the Python prompt show with its line breaks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def percent(share: float | None, digits: int = 2, *, missing: str = "–") -> str:
    """Return a fraction as a percentage, 0.9871 → `98.71 %`; None and NaN as `missing`."""
    return missing if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


def html_percent(share: float | None, digits: int = 2) -> str:
    """Return a percentage with a no-break space, and `<0.01 %` instead of one that would be rounded to zero."""
    least = 10.0**-digits
    if share is not None and 0 < 100 * share < least / 2:
        return f"<{least:g}\u00a0%"
    return percent(share, digits).replace(" ", "\u00a0")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 epoch`, `2,000 epochs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return the names as a list in a sentence: `dW1, db1 and dW2`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def printable_lines(text: str) -> str:
    """Return text that may quote a file, with its line breaks and without control characters."""
    return "\n".join(printable(line, len(line)) for line in text.split("\n"))


def number_meant(text: str, *, is_integer: bool) -> float | None:
    """Return the number in a text that is not quite one: 0.1 for `0,1`, 0.2 for `20%`, 1000 for `1k`, 10 for `ten`."""
    plain = text.strip(" \"'“”").lower()
    if plain in NUMBERS:
        return NUMBERS.index(plain)
    found = re.match(r"([-+]?\d[\d.,]*(?:e[-+]?\d+)?) ?([%k]?)", plain)
    if found is None:
        return None
    digits = found[1].replace(",", "" if is_integer or found[1].count(",") > 1 else ".")
    try:
        value = float(digits) * UNITS.get(found[2], 1)
    except ValueError:
        return None
    return value if not is_integer or value.is_integer() else None


def near_path(path: str | os.PathLike[str]) -> str:
    """Return ` (did you mean 'my digit.png'?)` with an existing path, quoted for a shell; an empty text without one."""
    text = str(path)
    if os.path.exists(path):
        return ""
    if re.match(r"https?:/", text):
        return " (download it first: this is an address)"
    if (plain := text.strip(" \"'“”").replace("\\", "/")) != text and os.path.exists(plain):
        return f" (did you mean {shlex.quote(plain)}?)"
    if re.match(r"[A-Za-z]:[\\/]|\\", text) and os.sep == "/":
        return " (on this system, paths have / and no drive)"
    found = Path(Path(path).anchor)
    for part in Path(path).relative_to(found).parts:
        if os.path.exists(found / part):
            found /= part
            continue
        names = [entry.name for entry in os.scandir(found)] if found.is_dir() else []
        start = [name for name in names if re.match(rf"{re.escape(part)}[ .]", name)]  # a blank, or a missing ending
        same = [name for name in names if part.isdecimal() and name.isdecimal() and int(name) == int(part)]
        if (near := next(iter([*start, *same]), None) or closest(part, names, 0.7)) is None:
            return ""
        found /= near
    return f" (did you mean {shlex.quote(str(found))}?)"


def aligned(rows: Sequence[Sequence[str]], width: int | None = None, gap: str = "  ") -> list[str]:
    """Return the lines of a table: the first column to the left, the others to the right.

    Columns that do not fit into `width` follow below, in further blocks that repeat the first column.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    blocks: list[list[int]] = [[]]
    taken = widths[0]
    for k, each in enumerate(widths[1:], start=1):
        if width is not None and blocks[-1] and taken + len(gap) + each > width:
            blocks.append([])
            taken = widths[0]
        blocks[-1].append(k)
        taken += len(gap) + each
    lines: list[str] = []
    for block in blocks:
        lines += [""] if lines else []
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in block)]
            lines.append(gap.join(cells).rstrip())
    return lines


def hanging(label: str, text: str, width: int | None) -> str:
    """Return a label and a text, whose further lines are below the first one or, if that is narrow, near the margin."""
    indent = len(label) if width is None or width - len(label) >= MIN_TEXT else 2
    if width is None or len(label) + len(text) <= width:
        return label + text
    wrap = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrap.wrap(label + text))
