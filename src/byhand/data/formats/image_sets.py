"""Data sets of images: a folder, a zip with a folder, or a data frame with a column of images.

A folder has one subfolder per class, or `train` and `test` with one subfolder per class. Images of several
sizes are scaled to the most common one; they are not inverted.
"""

import dataclasses
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np

from byhand.data import formats
from byhand.data.dataset import COLORS_DROPPED, Bytes, Dataset, label_column_named
from byhand.data.formats.images import ENDINGS, MAX_IMAGE_BYTES, has_colors, opened, pixels_of, read_photo, resized
from byhand.data.formats.images import content_of as content_of_path
from byhand.errors import DataError, MissingExtraError, short_repr
from byhand.text import printable

#: The names that a column of images has in a data frame.
IMAGE_COLUMNS = ("image", "images", "img", "picture", "pixels")
TRAIN, TEST, VALIDATION = ("train", "training"), ("test", "testing"), ("val", "valid", "validation")


@dataclasses.dataclass(eq=False)
class Member:
    """A file or a folder in a zip, like a `Path`. Nothing is unpacked: no name in a zip becomes a path."""

    archive: zipfile.ZipFile
    path: PurePosixPath
    info: zipfile.ZipInfo | None = None
    inside: dict[str, Self] = dataclasses.field(default_factory=dict)

    @classmethod
    def root(cls, archive: zipfile.ZipFile) -> "Member":
        """Return the folder of all members with a relative name."""
        root = cls(archive, PurePosixPath(printable(archive.filename)))
        for info in archive.infolist():
            *folders, name = info.filename.replace("\\", "/").split("/")
            if not name or name == ".." or {"", "..", "__MACOSX"} & {*folders}:
                continue
            place = root
            for folder in folders:
                place = place.inside.setdefault(folder, cls(archive, place.path / folder))
            place.inside[name] = cls(archive, place.path / name, info)
        return root

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def suffix(self) -> str:
        return self.path.suffix

    def __str__(self) -> str:
        return str(self.path)

    def is_dir(self) -> bool:
        return self.info is None

    def iterdir(self) -> Iterable["Member"]:
        return self.inside.values()

    def files(self) -> Iterator["Member"]:
        """Yield all files in the folder and its subfolders, without hidden ones."""
        waiting = [self]
        while waiting:
            for one in waiting.pop().inside.values():
                if one.name[0] != ".":
                    waiting.append(one)
                    if one.info is not None:
                        yield one


Entry = Path | Member


@dataclasses.dataclass
class Lenient:
    """Read at most that many photos of any form, in gray and shrunk to `side` pixels, and list the files left out."""

    side: int
    most: int
    left_out: list[str] = dataclasses.field(default_factory=list)

    def leave_out(self, file: Entry, folder: Entry, reason: object) -> None:
        self.left_out.append(f"{str(file).removeprefix(f'{folder}/')}: {reason}")


def content_of(file: Entry, name: str, most: int) -> bytes:
    """Return the content of a file, which may be in a zip."""
    if isinstance(file, Path):
        return content_of_path(file, name, most)
    assert file.info is not None
    if file.info.file_size > most:
        raise DataError(f"{name} must have at most {most:,} bytes, got {file.info.file_size:,}")
    return file.archive.read(file.info)


def find(folder: Entry) -> dict[str, dict[str, list[Entry]]]:
    """Return the files {"train": {class: files}, "test": …}; "test" may be empty."""
    inside = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    train = next((inside[name] for name in TRAIN if name in inside), None)
    test = next((inside[name] for name in TEST if name in inside), None)
    if train is None:
        return {"train": _classes(folder), "test": {}}
    return {"train": _classes(train), "test": _classes(test) if test else {}}


def _classes(folder: Entry) -> dict[str, list[Entry]]:
    """Return {class: files}, sorted, without empty subfolders."""
    found = {}
    for path in sorted(folder.iterdir(), key=_order):
        if path.is_dir() and not path.name.startswith("."):
            inside = [file for file in path.iterdir() if is_picture(file) and file.name[0] != "."]
            if inside:
                found[path.name] = sorted(inside, key=_order)
    return found


def is_picture(file: Entry) -> bool:
    """Return True if the name is that of an image file."""
    return file.suffix.lower() in ENDINGS


def _order(path: Entry) -> tuple[bool, int, str]:
    """Return a sort key: numbers come first and in numerical order, 2 before 10."""
    is_number = path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 20
    return not is_number, int(path.stem) if is_number else 0, path.name


def read_folder(
    folder: Entry, *, color: bool = False, lenient: Lenient | None = None
) -> tuple[Dataset, Dataset | None]:
    """Return the training set, and the test set or None, in color or in grayscale.

    Images of several sizes are scaled to the most common one. The note of the training set says what was changed or
    not used.
    """
    found = find(folder)
    classes = tuple(found["train"])
    for name in found["test"]:
        if name not in classes:
            raise DataError(f"{folder}: the classes of test must be among those of train, got {name!r}")
    train, shape, notes = _read(folder, found["train"], classes, None, color=color, lenient=lenient)
    names = sorted(path.name for path in folder.iterdir() if path.name.lower() in VALIDATION and path.is_dir())
    notes += [f"{name} is not used" for name in names if found["train"] != _classes(folder)]
    test = _read(folder, found["test"], classes, shape, color=color, lenient=lenient)[0] if found["test"] else None
    return Dataset(train.images, train.labels, classes=classes, name=str(folder), note=", ".join(notes)), test


def _read(
    folder: Entry,
    found: dict[str, list[Entry]],
    classes: tuple[str, ...],
    shape: tuple[int, ...] | None,
    *,
    color: bool,
    lenient: Lenient | None,
) -> tuple[Dataset, tuple[int, ...], list[str]]:
    """Read one part, at the size `shape` or the most common one; return it with that size and notes on what changed."""
    files = [file for name in found for file in found[name]]
    numbers = np.repeat([classes.index(name) for name in found], [len(found[name]) for name in found])
    if lenient is not None and len(files) > lenient.most:
        raise DataError(f"{folder}: must have at most {lenient.most:,} pictures, got {len(files):,}")
    images, labels, notes, pixels = [], [], [], 0
    for file, label in zip(files, numbers, strict=True):
        try:
            image = read_image(file, color=color) if lenient is None else _shrunk_photo(file, lenient.side)
        except DataError as error:
            if lenient is None:
                raise
            lenient.leave_out(file, folder, str(error).removeprefix("the picture "))
            continue
        images.append(image)
        labels.append(label)
        if (pixels := pixels + images[-1].size) > formats.CEILING:
            raise DataError(f"{folder}: must have at most {formats.CEILING:,} pixels in all images, got more")
    if not images:
        raise DataError(f"{folder}: no picture can be read: {lenient.left_out[-1] if lenient else ''}")
    images, size_notes = of_one_size(images, shape)
    notes += size_notes
    if not color and lenient is None and _is_colored(files[:: -(-len(files) // 20)]):
        notes.append(COLORS_DROPPED)
    stack = np.stack(images)
    return Dataset(stack, np.array(labels), classes=classes, name=str(folder)), stack.shape[1:], notes


def _shrunk_photo(file: Entry, side: int) -> Bytes:
    """Return any photo in grayscale, at most `side` pixels high and wide    uint8 (H, W)"""
    gray = read_photo(content_of(file, "the picture", 4 * MAX_IMAGE_BYTES))
    height, width = gray.shape
    scale = min(1.0, side / max(height, width))
    return resized(gray, (max(1, round(height * scale)), max(1, round(width * scale))))


def of_one_size(images: list[Bytes], shape: tuple[int, ...] | None) -> tuple[list[Bytes], list[str]]:
    """Return images at the size `shape` or the most common one, and notes on what changed."""
    sizes = Counter(image.shape for image in images)
    shape = shape or sizes.most_common(1)[0][0]
    notes = [f"images of {len(sizes)} sizes scaled to {shape[1]}×{shape[0]}"] if len(sizes) > 1 else []
    return [resized(image, shape) for image in images], notes


def _is_colored(files: list[Entry]) -> bool:
    """Return True if one of the images has colors, not only shades of gray."""
    for file in files:
        with opened(content_of(file, str(file), MAX_IMAGE_BYTES), str(file)) as picture:
            if has_colors(picture):
                return True
    return False


def read_image(file: Entry, *, color: bool = False) -> Bytes:
    """Return one image of a folder, uint8 (H, W), or with `color` (H, W, 3)."""
    name = f"{file}:"
    with opened(content_of(file, name, MAX_IMAGE_BYTES), name) as picture:
        return pixels_of(picture, name, color=color)


def read_zip(path: Path, *, color: bool = False, lenient: Lenient | None = None) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set of a zip with a folder of images."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = Member.root(archive)
            if sum(one.info.file_size for one in root.files() if one.info and is_picture(one)) > formats.CEILING:
                raise DataError(f"{path}: must have at most {formats.CEILING:,} bytes of images")
            found = find(root)
            while len(inside := [one for one in root.iterdir() if one.is_dir()]) == 1 and len(found["train"]) < 2:
                if found["train"] and not find(inside[0])["train"]:
                    break
                root, found = inside[0], find(inside[0])
            if not found["train"]:
                raise DataError(f"{path}: must have a subfolder of images for each class")
            if lenient is not None:
                used = {file for part in found.values() for files in part.values() for file in files}
                for file in root.files():
                    if file not in used:
                        reason = "not in a folder of its class" if is_picture(file) else "no picture"
                        lenient.leave_out(file, root, reason)
            return read_folder(root, color=color, lenient=lenient)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: the zip must be undamaged and not encrypted: {printable(error)}") from None


def read_parquet(path: Path, test: Path | None = None, *, color: bool = False) -> tuple[Dataset, Dataset | None]:
    """Return the training set, and the test set or None, of parquet files, which pandas reads."""
    train = read_frame(_frame_of(path), name=str(path), color=color)
    if test is None:
        return train, None
    return train, read_frame(_frame_of(test), name=str(test), shape=train.shape, color=color)


def _frame_of(path: Path) -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("pandas and pyarrow", "pandas") from None
    try:
        return pandas.read_parquet(path)
    except ImportError:
        raise MissingExtraError("pandas and pyarrow", "pandas") from None
    except Exception as error:  # pyarrow fails in many ways on damaged files
        raise DataError(f"{path}: damaged parquet file: {printable(error)}") from None


def read_frame(
    frame: Any, *, name: str = "frame", shape: tuple[int, ...] | None = None, color: bool = False
) -> Dataset:
    """Return the data set in a pandas data frame: one column per pixel, or a column `image` as in Hugging Face's sets.

    An image is the content of an image file, a dictionary with this content as `bytes`, a Pillow image or an array.
    """
    columns = [str(column).strip().lower() for column in frame.columns]
    place = next((columns.index(column) for column in IMAGE_COLUMNS if column in columns), None)
    if place is None or not len(frame) or isinstance(frame.iloc[0, place], int | float | np.number):
        return Dataset.from_frame(frame, name=name)
    label = label_column_named(frame.columns, name)
    if label is None and len(columns) == 2:
        label = 1 - place
    if label is None:
        got = ", ".join(map(str, frame.columns))
        raise DataError(f"{name}: the column of labels must be called label, got the columns {got}: rename one")
    images, is_colored, pixels = [], False, 0
    for row, cell in enumerate(frame.iloc[:, place]):
        image, has_color = _image_in(cell, f"{name}, row {row}: the image", color=color)
        images.append(image)
        is_colored |= has_color
        if (pixels := pixels + image.size) > formats.CEILING:
            raise DataError(f"{name}: must have at most {formats.CEILING:,} pixels in all images, got more")
    if {image.dtype for image in images} == {np.dtype(np.uint8)}:
        images, notes = of_one_size(images, shape)
    elif len({image.shape for image in images}) > 1:
        raise DataError(f"{name}: arrays of floats must all have the same shape")
    else:
        notes = []
    data = Dataset.from_arrays(np.stack(images), frame.iloc[:, label].to_numpy(), name=name, color=color)
    notes += [COLORS_DROPPED] if is_colored and not color else []
    return Dataset(data.images, data.labels, classes=data.classes, name=name, scale=data.scale, note=", ".join(notes))


def _image_in(cell: Any, name: str, *, color: bool) -> tuple[Any, bool]:
    """Return the image in a cell of a data frame, (H, W) or with `color` (H, W, 3), and True if it has colors."""
    from PIL import Image

    if isinstance(cell, dict):
        cell = cell.get("bytes")
    if isinstance(cell, bytes):
        with opened(cell, name) as picture:
            return pixels_of(picture, name, color=color), has_colors(picture)
    if isinstance(cell, Image.Image):
        return pixels_of(cell, name, color=color), has_colors(cell)
    try:
        array = np.stack([np.stack(list(row)) for row in cell])  # parquet has arrays of arrays
    except (TypeError, ValueError):
        array = np.empty(0, object)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind in "iu" and array.size and array.min() >= 0 and array.max() <= 255:
        array = array.astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        return _image_in(Image.fromarray(array), name, color=color)
    if array.ndim != 2 or array.dtype.kind not in "uf":
        rule = "the content of an image file, a Pillow image or an array (H, W)"
        raise DataError(f"{name} must be {rule}, got {short_repr(cell)}")
    if color and array.dtype == np.uint8:
        array = np.repeat(array[..., None], 3, axis=2)
    return array, False
