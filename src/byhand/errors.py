"""Exceptions. A message gives name, rule and value: `hidden must be positive integers, got [128, 0]`.

Each class also inherits from a built-in exception, such as `ValueError`. The command line prints the message and exits
with `exit_code`.
"""

from collections.abc import Iterable, Mapping

#: Maximum number of characters of a message.
MAX_MESSAGE = 2_000


def printable(text: object, most: int = 120) -> str:
    """Return text from a file or another library as one printable line of at most `most` characters."""
    line = "".join(letter if letter.isprintable() else "\N{MIDDLE DOT}" for letter in str(text))
    return line if len(line) <= most else f"{line[:most]}…"


class ByhandError(Exception):
    """Base class of byhand's exceptions."""

    exit_code = 1

    def __str__(self) -> str:
        """Return one printable line: a quoted file may contain control sequences for the terminal."""
        return printable(super().__str__(), MAX_MESSAGE)


class UsageError(ByhandError, ValueError):
    """An invalid argument: a wrong size, an unknown name, a negative rate."""

    exit_code = 2


class MissingExtraError(ByhandError, ImportError):
    """A package of an optional feature is not installed."""

    exit_code = 2

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)  # pickle makes copies with these arguments

    def __str__(self) -> str:
        package, extra = self.args
        return f"this needs {package}: pip install '.[{extra}]' in byhand's folder"


class DataError(ByhandError, ValueError):
    """Data that is damaged or has another format than expected."""

    exit_code = 3


class DataMissingError(DataError, FileNotFoundError):
    """Data that cannot be found."""


class NothingDrawnError(DataError):
    """An image without a digit: blank, of one color, or noise."""


class DivergedError(ByhandError, ArithmeticError):
    """Training diverged: the loss or a weight is not finite."""

    exit_code = 4


class ModelFileError(ByhandError, ValueError):
    """A file that is damaged, has an unknown version, or is not a model file."""

    exit_code = 5


class StorageError(ByhandError, OSError):
    """A file that cannot be written: the disk is full, the folder is read-only, or the file is in use."""

    exit_code = 2


def short_repr(value: object) -> str:
    """Return a short description of a value, for the "got …" part of an error message."""
    if value is None or isinstance(value, str | int | float):
        return f"{value!r:.60}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array {value.dtype} {value.shape}"
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that `name` is most likely a misspelling of, or None."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), None)


def did_you_mean(name: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """Return ` (did you mean epochs?)` for a misspelled name, or one that is known `elsewhere`; else an empty text."""
    meant = (elsewhere or {}).get(name) or closest(name, known)
    if meant and meant.startswith("("):  # an explanation
        return f" {meant}"
    return f" (did you mean {meant}?)" if meant else ""
