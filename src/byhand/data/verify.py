"""Verifying: everything that is wrong with a data set, a line a problem, where loading stops at the first.

Files are read as `load` reads them, each on its own; nothing is written, and nothing is fetched.
"""

import dataclasses
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from byhand.data import bundled, catalog, loading, store
from byhand.data.dataset import DIGITS, Digits, check_labels
from byhand.data.formats import csv, idx, images
from byhand.data.formats.detect import DataFiles, detect_format
from byhand.errors import DataError, DataMissingError

MOST_PROBLEMS = 100  # of a folder of pictures


@dataclasses.dataclass(frozen=True)
class Report:
    """What was looked at, what is wrong with it (nothing, if `problems` is empty), and what it is."""

    where: str
    problems: list[str]
    digits: Digits | None

    @property
    def known(self) -> bool:
        """Whether its checksums are those of a data set of the catalog."""
        return self.digits is not None and self.digits.name in catalog.CATALOG


def verify(name_or_path: str | os.PathLike[str], *, cache: str | os.PathLike[str] | None = None) -> Report:
    """Verify a data set by name (in the cache, else in BYHAND_DATA) or by path."""
    name = catalog.known_name(name_or_path) if isinstance(name_or_path, str) else None
    path = Path(name_or_path).expanduser()
    if name == bundled.NAME:
        return _attempt(name, _bundled)
    if name is None and os.path.exists(path):
        return _at(path)
    shelf = store.place_of_set(name or str(name_or_path), cache)
    if loading.SET_NAME.fullmatch(name or str(name_or_path)) and (shelf / store.MANIFEST).exists():
        return _attempt(str(shelf), lambda: store.kept(shelf, trust=False))
    if name and (base := loading.environment()):
        return _of_environment(base, name)
    raise DataMissingError(f"{name_or_path}: must be a path or a data set that is here, there is neither")


def _bundled() -> Digits:
    """The bundled sample, if its checksums are right."""
    digits = bundled.load()
    entry = catalog.identify(digits.train, digits.test, {})
    if entry is None or entry.name != bundled.NAME:
        raise DataError(f"{bundled.NAME}: must have the known checksums, it has others; install byhand again")
    return digits


def _of_environment(base: Path, name: str) -> Report:
    """BYHAND_DATA as the data set of that name."""
    report = _at(base / name if (base / name).is_dir() else base)
    if report.digits and report.digits.name != name:
        wrong = f"{report.where}: must be {name} by its checksums, it is not"
        return dataclasses.replace(report, problems=[wrong])
    return report


def _at(path: Path) -> Report:
    """What lies at the path: each of its files, and then all of them together."""
    try:
        place = detect_format(path)
        problems = [problem for check in _checks(place) for problem in _attempt(str(path), check).problems]
    except DataError as error:
        return Report(str(path), [str(error)], None)
    if problems:
        more = len(problems) - MOST_PROBLEMS
        rest = [f"{path}: and {more:,} more problems of this kind"] if more > 0 else []
        return Report(str(path), problems[:MOST_PROBLEMS] + rest, None)
    return _attempt(str(path), lambda: loading.read(place))


def _checks(place: DataFiles) -> list[Callable[[], Any]]:
    """What can be looked at file by file."""
    if place.kind == "idx":
        return [partial(_idx_file, part, file) for part, file in place.files.items()]
    if place.kind == "csv":
        files = [file for part, file in place.files.items() if part == "train" or csv.has_labels(file)]
        return [partial(csv.read, file) for file in files]
    found = images.find(place.path) if place.kind == "pictures" else {}
    files = [file for classes in found.values() for inside in classes.values() for file in inside]
    return [partial(images.read_image, file) for file in files]


def _idx_file(part: str, file: Path) -> None:
    if part.endswith("labels"):
        check_labels(idx.read(file, 1), DIGITS, str(file))
    else:
        idx.read(file, 3)


def _attempt(where: str, check: Callable[[], Any]) -> Report:
    """The outcome of one check."""
    try:
        result = check()
    except DataError as error:
        return Report(where, [str(error)], None)
    return Report(where, [], result if isinstance(result, Digits) else None)
