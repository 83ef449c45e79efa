"""A folder of pictures: one sub-folder a class, or `train` and `test` with one sub-folder a class in each.

The names of the sub-folders are the names of the classes (numbers in the order of numbers). All pictures must be of one
size; colours become grey. Ink stays as it is: pictures of this kind are usually white on black, as MNIST is.
"""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from byhand.data.dataset import Bytes, Dataset
from byhand.data.formats import gzip_io as packed
from byhand.data.handwriting.photo import ENDINGS, FORMATS
from byhand.errors import DataError

GREYABLE = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"))
LARGEST_SIDE = 1024
LARGEST_FILE = 16 << 20
TRAIN, TEST = ("train", "training"), ("test", "testing")


def find(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """{"train": {class: pictures}, "test": …}; the test set is empty if the folder has none, both if nothing fits."""
    inside = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    train = next((inside[name] for name in TRAIN if name in inside), None)
    test = next((inside[name] for name in TEST if name in inside), None)
    if train is None:
        return {"train": _classes(folder), "test": {}}
    return {"train": _classes(train), "test": _classes(test) if test else {}}


def _classes(folder: Path) -> dict[str, list[Path]]:
    """{class: its pictures}, classes and pictures in order; sub-folders without pictures are left out."""
    found = {}
    for path in sorted(folder.iterdir(), key=_order):
        if path.is_dir() and not path.name.startswith("."):
            inside = [file for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.name[0] != "."]
            if inside:
                found[path.name] = sorted(inside, key=_order)
    return found


def _order(path: Path) -> tuple[bool, int, str]:
    """Numbers first, as numbers: 2 before 10."""
    is_number = path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 20
    return not is_number, int(path.stem) if is_number else 0, path.name


def read(folder: Path) -> tuple[Dataset, Dataset | None]:
    """(training set, test set or None)"""
    found = find(folder)
    classes = tuple(found["train"])
    if not classes:
        raise DataError(f"{folder}: must hold a sub-folder of pictures for each class, none is there")
    for name in found["test"]:
        if name not in classes:
            raise DataError(f"{folder}: the classes of test must be among those of train, {name!r} is not")
    train = _read(folder, found["train"], classes)
    return train, _read(folder, found["test"], classes) if found["test"] else None


def _read(folder: Path, found: dict[str, list[Path]], classes: tuple[str, ...]) -> Dataset:
    files = [file for name in found for file in found[name]]
    labels = np.repeat([classes.index(name) for name in found], [len(found[name]) for name in found])
    pictures = read_each(files)
    first = next(pictures)
    if first.size * len(files) > packed.CEILING:
        raise DataError(
            f"{folder}: must hold at most {packed.CEILING:,} pixels, {len(files):,} × {first.size:,} are more"
        )
    images = np.empty((len(files), *first.shape), np.uint8)
    images[0] = first
    for i, picture in enumerate(pictures, start=1):
        images[i] = picture
    return Dataset(images, labels, classes=classes, name=str(folder))


def read_each(files: list[Path]) -> Iterator[Bytes]:
    """Each picture as grey bytes (H, W); all must have the size of the first."""
    size = None
    for file in files:
        picture = read_one(file, size)
        size = size or (picture.shape[1], picture.shape[0])
        yield picture


def read_one(file: Path, size: tuple[int, int] | None = None) -> Bytes:
    """One picture as grey bytes (H, W); `size` (width, height) is what it must have."""
    from PIL import Image, UnidentifiedImageError

    if file.stat().st_size > LARGEST_FILE:
        raise DataError(f"{file}: must have at most {LARGEST_FILE:,} bytes, has {file.stat().st_size:,}")
    try:
        # Read from memory: of a file, Pillow would allocate what a damaged picture claims.
        content = io.BytesIO(file.read_bytes())
        with warnings.catch_warnings(action="ignore"), Image.open(content, formats=FORMATS) as picture:
            wide, high = picture.size
            if size and picture.size != size:
                raise DataError(f"{file}: must be {size[0]}×{size[1]} as the first picture is, got {wide}×{high}")
            if max(picture.size) > LARGEST_SIDE:
                raise DataError(f"{file}: must be at most {LARGEST_SIDE} pixels wide and high, got {wide}×{high}")
            if picture.mode not in GREYABLE:
                raise DataError(f"{file}: must have 8 bits a colour, its mode is {picture.mode}")
            if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                raise DataError(f"{file}: must have no transparent pixels; put it on a background first")
            return np.array(picture.convert("L"))
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{file}: must be a picture ({', '.join(FORMATS)}), it begins as none of them does") from None
    except Exception as error:  # Pillow's decoders end on a damaged picture in many ways
        reason = packed.shown(error) or type(error).__name__
        raise DataError(f"{file}: must be an undamaged picture: {reason}") from None
