"""Finding data: from a name or a path to a pair of data sets."""

from collections.abc import Callable
from pathlib import Path

from byhand.data import bundled, idx
from byhand.data.dataset import Digits
from byhand.errors import DataError


def load(
    name_or_path: str | Path | None = None,
    *,
    offline: bool = False,
    cache: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Digits:
    """The data set of that name, or at that path."""
    if name_or_path in (None, bundled.NAME):
        return bundled.load()
    train, test = idx.read_folder(Path(str(name_or_path)))
    if test is None:
        raise DataError(f"{name_or_path}: must hold a test set")
    return Digits(train, test, str(name_or_path))
