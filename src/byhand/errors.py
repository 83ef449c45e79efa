"""Errors that a user can act on.

Every message names the thing, the rule and the value: ``hidden must be positive integers, got [128, 0]``.
The command line prints the message as one line and exits with the class's ``exit_code``;
in Python the usual families (`ValueError`, `FileNotFoundError`) catch them too.
"""


class ByhandError(Exception):
    """The base of every error that byhand raises on purpose."""

    exit_code = 1


class UsageError(ByhandError, ValueError):
    """An argument that breaks a rule: wrong size, unknown name, impossible rate."""

    exit_code = 2


class MissingExtraError(ByhandError, ImportError):
    """An optional feature whose package is not installed."""

    exit_code = 2

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)  # with which a copy is made, as when a process sends it to another

    def __str__(self) -> str:
        package, extra = self.args
        return f"this needs {package}: pip install 'byhand[{extra}]'"


class DataError(ByhandError, ValueError):
    """Data that is damaged or is not what it claims to be."""

    exit_code = 3


class DataMissingError(DataError, FileNotFoundError):
    """Data that is not there."""


class NothingDrawnError(DataError):
    """A picture with no digit in it: blank, all of one colour, or noise."""


class DivergedError(ByhandError, ArithmeticError):
    """Training that diverged: the loss or a weight is no longer finite."""

    exit_code = 4


class ModelFileError(ByhandError, ValueError):
    """A model file that can't be used: damaged, of an unknown version, or not a model at all."""

    exit_code = 5


class StorageError(ByhandError, OSError):
    """A file that can't be written: a full disk, a read-only folder, one in use."""

    exit_code = 2


def short_repr(value: object) -> str:
    """Return a word or two on a value of the wrong type, for the end of a message."""
    if value is None or isinstance(value, str | int | float):
        return f"{value!r:.60}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array {value.dtype} {value.shape}"
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
