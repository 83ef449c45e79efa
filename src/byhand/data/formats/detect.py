"""Detection of the format and the files of a data set, from file names and first bytes."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

from byhand.data.dataset import Dataset
from byhand.data.formats import arrays, csv, idx, image_sets, images, opened
from byhand.errors import DataError, DataMissingError

#: Subfolders in which torchvision stores IDX files.
NESTED = ("raw", "MNIST/raw")
ENDINGS = {
    "csv": (".csv", ".csv.gz"),
    "npz": (".npz",),
    "npy": (".npy",),
    "parquet": (".parquet", ".pq"),
    "zip": (".zip",),
    "pickled": (".pkl", ".pkl.gz", ".pickle", ".pickle.gz"),
}


@dataclasses.dataclass(frozen=True)
class DataFiles:
    """The format, the path and the files of a data set (none for a folder of images).

    color: keep the three channels of color pictures.  lenient: how pictures are read that others have chosen
    """

    kind: str
    path: Path
    files: dict[str, Path]
    color: bool = False
    lenient: image_sets.Lenient | None = None

    def read(self) -> tuple[Dataset, Dataset | None]:
        """Return the training set, and the test set or None."""
        test = self.files.get("test")
        if self.kind == "csv":
            return csv.read(self.files["train"]), csv.read(test) if test and csv.has_labels(test) else None
        if self.kind == "parquet":
            return image_sets.read_parquet(self.files["train"], test, color=self.color)
        if self.kind == "npy":
            return arrays.read_npy(self.files, color=self.color)
        if self.kind in ("idx", "pickled"):
            return idx.read_folder(self.path) if self.kind == "idx" else arrays.read_pickle(self.path)
        if self.kind == "npz":
            return arrays.read_npz(self.path, color=self.color)
        reader = image_sets.read_folder if self.kind == "pictures" else image_sets.read_zip
        return reader(self.path, color=self.color, lenient=self.lenient)

    def readers(self) -> list[Callable[[], object]]:
        """Return a reader for each file, if the format has several."""
        if self.kind == "idx":
            return [
                partial(idx.read_labels, file) if part.endswith("labels") else partial(idx.read, file, 3)
                for part, file in self.files.items()
            ]
        if self.kind == "csv":
            return [
                partial(csv.read, file) for part, file in self.files.items() if part == "train" or csv.has_labels(file)
            ]
        found = image_sets.find(self.path) if self.kind == "pictures" else {}
        files = [file for classes in found.values() for inside in classes.values() for file in inside]
        return [partial(image_sets.read_image, file) for file in files]


def detect(path: Path) -> DataFiles | None:
    """Return the data set at `path`, a file or a folder, or None for a folder without one."""
    try:
        return _in_folder(path) if path.is_dir() else _of_file(path)
    except FileNotFoundError:
        raise DataMissingError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from None


def detect_format(path: Path) -> DataFiles:
    """Return the data set at `path`, or raise a `DataError` if there is none."""
    if found := detect(path):
        return found
    kinds = "IDX, CSV, mnist.npz, mnist.pkl.gz, X.npy with y.npy, parquet, or a subfolder of images for each class"
    raise DataError(f"{path}: must contain a data set ({kinds}), found {endings_in(path)}")


def endings_in(folder: Path) -> str:
    """Return the endings of the files in a folder, `.heic, .pdf`; `none` if there are no files."""
    return ", ".join(sorted({entry.suffix.lower() or entry.name for entry in folder.iterdir()})[:6]) or "none"


def _in_folder(path: Path) -> DataFiles | None:
    if found := idx.find(path):
        return DataFiles("idx", path, found)
    files = sorted(file for file in path.iterdir() if file.is_file())
    paired = [file for pair in arrays.find_npy(path) for file in pair.values()]
    for kind, endings in ENDINGS.items():
        fitting = paired if kind == "npy" else [file for file in files if file.name.lower().endswith(endings)]
        candidates = {tuple(one.files.values()): one for one in map(_of_file, fitting)}
        if len(candidates) > 1:
            names = ", ".join(file.name for file in fitting[:4])
            raise DataError(f"{path}: must contain one data set, found {names}; pass a file's path")
        if candidates:
            return next(iter(candidates.values()))
    for nested in NESTED:
        if (path / nested).is_dir() and (found := idx.find(path / nested)):
            return DataFiles("idx", path / nested, found)
    return DataFiles("pictures", path, {}) if image_sets.find(path)["train"] else None


def _of_file(path: Path) -> DataFiles:
    if not path.exists():
        raise FileNotFoundError
    name = path.name.lower()
    if idx.NAME.fullmatch(name):
        return DataFiles("idx", path.parent, idx.find(path.parent))
    kind = next((kind for kind, endings in ENDINGS.items() if name.endswith(endings)), None) or _kind_by_content(path)
    if kind in ("csv", "parquet"):
        return _train_and_test(kind, path)
    return _npy(path) if kind == "npy" else DataFiles(kind, path, {"all": path})


def _npy(path: Path) -> DataFiles:
    """Return the data set that a .npy file belongs to."""
    for files in arrays.find_npy(path.parent):
        if path in files.values():
            return DataFiles("npy", files["images"], files)
    rule = "the images need their labels in the same folder: X.npy and y.npy, or images.npy and labels.npy"
    raise DataError(f"{path}: {rule}; each may have `_train` and `_test`")


def _kind_by_content(path: Path) -> str:
    with opened(path) as file:
        head = file.read(3)
    if head.startswith(b"PK\x03"):
        return "npz"
    if head[:1] == b"\x80":
        return "pickled"
    if head == b"\0\0\x08":
        raise DataError(f"{path}: an IDX file must have a name like train-images-idx3-ubyte, got {path.name}")
    if path.suffix.lower() in images.ENDINGS:
        raise DataError(f"{path}: must be a folder with a subfolder of images for each class, got a single image")
    return "csv"


def _train_and_test(kind: str, path: Path) -> DataFiles:
    """Return a file, or a pair such as mnist_train.csv and mnist_test.csv."""
    name = path.name.lower()
    if "train" in name and (partner := _partner(path, "train", "test")):
        return DataFiles(kind, path, {"train": path, "test": partner})
    if "test" in name and (partner := _partner(path, "test", "train")):
        return DataFiles(kind, partner, {"train": partner, "test": path})
    return DataFiles(kind, path, {"train": path})


def _partner(path: Path, own: str, other: str) -> Path | None:
    """Return the file whose name has `other` in place of `own`, gzipped or not."""
    start = path.name.lower().rindex(own)
    stem = path.name.removesuffix(".gz")
    name = stem[:start] + other + stem[start + len(own) :]
    return next((file for file in (path.with_name(name), path.with_name(f"{name}.gz")) if file.is_file()), None)
