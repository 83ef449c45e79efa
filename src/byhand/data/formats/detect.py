"""Places: what kind of data lies at a path, and which files belong to it.

Only names and first bytes are looked at here; the reader of the kind, one module each, does the reading.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from byhand.data.dataset import Dataset
from byhand.data.formats import csv, idx, npz, pickled
from byhand.data.formats import gzip_io as packed
from byhand.data.formats import image_folder as pictures
from byhand.data.handwriting.photo import ENDINGS
from byhand.errors import DataError, DataMissingError

Sets = tuple[Dataset, Dataset | None]
NESTED = ("raw", "MNIST/raw")  # where torchvision puts its files


@dataclasses.dataclass(frozen=True)
class Place:
    """A data set that can be read: its kind, its path, and its files by part (none are listed for pictures)."""

    kind: str
    path: Path
    files: dict[str, Path]

    def read(self) -> Sets:
        """(training set, test set or None)"""
        return _READERS[self.kind](self)


def recognise(path: Path) -> Place | None:
    """The data set at `path`, a file or a folder; None for a folder in which there is none."""
    try:
        return _folder(path) if path.is_dir() else _file(path)
    except FileNotFoundError:
        raise DataMissingError(f"{path}: there is no such file or folder") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from None


def must_recognise(path: Path) -> Place:
    """The same, and a `DataError` for a folder in which there is none."""
    place = recognise(path)
    if place is None:
        raise DataError(
            f"{path}: must hold a data set (IDX, CSV, mnist.npz, mnist.pkl.gz, or a sub-folder of pictures for each "
            "class), none is there"
        )
    return place


def _folder(path: Path) -> Place | None:
    if found := idx.find(path):
        return Place("idx", path, found)
    files = sorted(file for file in path.iterdir() if file.is_file())
    for kind, endings in _ENDINGS.items():
        fitting = [file for file in files if file.name.lower().endswith(endings)]
        if fitting:
            return _choose(path, kind, fitting)
    for nested in NESTED:
        if (path / nested).is_dir() and (found := idx.find(path / nested)):
            return Place("idx", path / nested, found)
    return Place("pictures", path, {}) if pictures.find(path)["train"] else None


def _choose(folder: Path, kind: str, files: list[Path]) -> Place:
    """The one file of a kind, or the one pair of CSV files; a `DataError` if it isn't clear which."""
    places = [_csv(file) if kind == "csv" else Place(kind, file, {"all": file}) for file in files]
    different = {tuple(place.files.values()): place for place in places}
    if len(different) > 1:
        named = ", ".join(file.name for file in files[:4])
        raise DataError(f"{folder}: must hold one data set, or name the file: there are {named}")
    return places[0]


def _file(path: Path) -> Place:
    if not path.exists():
        raise FileNotFoundError
    name = path.name.lower()
    if idx.NAME.fullmatch(name):
        return Place("idx", path.parent, idx.find(path.parent))
    for kind, endings in _ENDINGS.items():
        if name.endswith(endings):
            return _csv(path) if kind == "csv" else Place(kind, path, {"all": path})
    return _by_first_bytes(path)


def _by_first_bytes(path: Path) -> Place:
    head = packed.head(path)
    if head.startswith(b"PK\x03\x04"):
        return Place("npz", path, {"all": path})
    if head[:1] == b"\x80":
        return Place("pickled", path, {"all": path})
    if head.startswith(b"\0\0\x08"):
        raise DataError(f"{path}: an IDX file must have a name like train-images-idx3-ubyte, got {path.name}")
    if path.suffix.lower() in ENDINGS:
        raise DataError(f"{path}: a data set must be a folder with a sub-folder of pictures for each class, got one")
    return _csv(path)


def _csv(path: Path) -> Place:
    """A CSV file and, if it is half of a pair such as mnist_train.csv and mnist_test.csv, the other half."""
    name = path.name.lower()
    if "train" in name and (partner := _beside(path, "train", "test")):
        return Place("csv", path, {"train": path, "test": partner})
    if "test" in name and (partner := _beside(path, "test", "train")):
        return Place("csv", partner, {"train": partner, "test": path})
    return Place("csv", path, {"train": path})


def _beside(path: Path, mine: str, other: str) -> Path | None:
    """The file whose name has `other` where this one has `mine`, gzipped or not."""
    start = path.name.lower().rindex(mine)
    stem = path.name.removesuffix(".gz")
    name = stem[:start] + other + stem[start + len(mine) :]
    return next((file for file in (path.with_name(name), path.with_name(f"{name}.gz")) if file.is_file()), None)


def _read_csv(place: Place) -> Sets:
    train, test = csv.read(place.files["train"]), None
    if "test" in place.files and csv.has_labels(place.files["test"]):
        test = csv.read(place.files["test"])
    return train, test


_ENDINGS = {
    "csv": (".csv", ".csv.gz"),
    "npz": (".npz",),
    "pickled": (".pkl", ".pkl.gz", ".pickle", ".pickle.gz"),
}
_READERS: dict[str, Callable[[Place], Sets]] = {
    "idx": lambda place: idx.read_folder(place.path),
    "csv": _read_csv,
    "npz": lambda place: npz.read(place.path),
    "pickled": lambda place: pickled.read(place.path),
    "pictures": lambda place: pictures.read(place.path),
}
