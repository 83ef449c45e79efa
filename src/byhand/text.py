"""Text formatting of numbers, percentages and lists, for the terminal, messages and HTML."""

import math
from collections.abc import Iterable, Mapping, Sequence

from byhand import errors

printable = errors.printable


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


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that `name` is most likely a misspelling of, or None."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), None)


def did_you_mean(name: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """Return ` (did you mean epochs?)` for a misspelled name, or one that is known `elsewhere`; else an empty text."""
    meant = (elsewhere or {}).get(name) or closest(name, known)
    return f" (did you mean {meant}?)" if meant else ""
