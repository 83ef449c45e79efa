"""Images: files of pictures, read with Pillow as grey bytes: a photo, or a folder of pictures as a data set.

A folder has one sub-folder a class, or `train` and `test` with one sub-folder a class in each. The names of the
sub-folders are the names of the classes (numbers in the order of numbers). All its pictures must be of one size; ink
stays as it is: pictures of this kind are usually white on black, as MNIST is. `byhand.data.handwriting` takes photos.

Files come from anywhere, so the size is read from the header and judged before anything is decoded, only a few plain
formats are tried, and whatever a decoder trips over is a `DataError`.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from byhand.data import formats
from byhand.data.dataset import Bytes, Dataset
from byhand.errors import DataError, DataMissingError
from byhand.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

#: The formats that are tried, by Pillow's names, and the endings of their files.
FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)


def content_of(file: Path, name: str, most: int) -> bytes:
    """Return the bytes of a file, at most `most`. (Of a file, Pillow would allocate what a damaged picture claims.)"""
    try:
        if not file.exists():
            raise DataMissingError(f"no picture at {file}")
        if not file.is_file():
            raise DataError(f"{name} must be a picture file, and it is not a file")
        if file.stat().st_size > most:
            raise DataError(f"{name} must have at most {most:,} bytes, has {file.stat().st_size:,}")
        return file.read_bytes()
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} can't be read: {error.strerror or error}") from None


@contextlib.contextmanager
def opened(content: bytes, name: str) -> Iterator["Image"]:
    """Open a picture; damage found while it is read is a `DataError`."""
    from PIL import Image, UnidentifiedImageError

    if not len(content):
        raise DataError(f"{name} must have content, got 0 bytes")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=[*FORMATS]) as picture:
            yield picture
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{name} must have at most {MOST_PIXELS:,} pixels, got more than twice as many") from None
    except UnidentifiedImageError:
        raise DataError(f"{name} must be a picture ({', '.join(FORMATS)}), and it is none of these") from None
    except Exception as error:  # decoders fail in many ways on damaged files: OSError, ValueError, struct.error, …
        if isinstance(error, OSError) and error.strerror:  # an error of the system, not of the decoder
            raise DataError(f"{name} can't be read: {error.strerror}") from None
        raise DataError(f"{name} is a damaged picture: {printable(error) or type(error).__name__}") from error


# ---- a photo

LARGEST_PHOTO = 1 << 29  # bytes: 80 million pixels of six bytes
LONGEST_SIDE = 20_000  # pixels: more than a panorama
MOST_PIXELS = 80_000_000  # more than a telephone's usual photo
ENOUGH = 1600  # pixels a side: a JPEG larger than twice this is decoded at half, a quarter or an eighth


def read_photo(source: str | os.PathLike[str] | bytes) -> Bytes:
    """Return the picture as it looks, in grey: uint8 (H, W), 0 black, 255 white.

    `source` is a path, or the file's own bytes. The camera's orientation is applied. What is transparent shows the
    paper behind it: white, or black if the ink is light. 16-bit grey keeps its upper byte. Moving pictures, several
    pages, and grey of 32 bits are rejected.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        name, content = "the picture", bytes(source)
    else:
        name = str(source)
        content = content_of(Path(source), name, LARGEST_PHOTO)
    with opened(content, name) as picture:
        width, height = picture.size
        if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
            rule = f"at most {LONGEST_SIDE:,} pixels a side and {MOST_PIXELS:,} in all"
            raise DataError(f"{name} must have {rule}, got {width:,} × {height:,}")
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":  # a photo with a preview behind it: the first is the picture
            raise DataError(f"{name} must be one still picture, got {frames} frames or pages")
        if picture.mode in ("LAB", "I", "F"):
            rule = "grey, RGB, CMYK or with a palette, of 8 or 16 bits a channel"
            raise DataError(f"{name} must be {rule}, its mode is {picture.mode}")
        picture.draft("L", (ENOUGH, ENOUGH))
        return _grey(picture)


def _grey(picture: "Image") -> Bytes:
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture, np.uint16) >> 8).astype(np.uint8)
    if picture.has_transparency_data:
        layers = np.asarray(picture.convert("RGBA").convert("LA"))
        grey, opaque = layers[:, :, 0].astype(np.int64), layers[:, :, 1].astype(np.int64)
        ink_is_light = int((grey * opaque).sum()) * 2 > 255 * int(opaque.sum())
        paper = 0 if ink_is_light else 255
        return ((grey * opaque + paper * (255 - opaque) + 127) // 255).astype(np.uint8)
    if picture.mode == "P":
        picture = picture.convert("RGB")
    return np.array(picture.convert("L"), np.uint8)


# ---- a folder of pictures

GREYABLE = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"))
LARGEST_FILE = 16 << 20  # bytes
LARGEST_SIDE = 1024  # pixels
TRAIN, TEST = ("train", "training"), ("test", "testing")


def find(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Return {"train": {class: pictures}, "test": …}; the test set is empty if the folder has none."""
    inside = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    train = next((inside[name] for name in TRAIN if name in inside), None)
    test = next((inside[name] for name in TEST if name in inside), None)
    if train is None:
        return {"train": _classes(folder), "test": {}}
    return {"train": _classes(train), "test": _classes(test) if test else {}}


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Return {class: its pictures}, classes and pictures in order; sub-folders without pictures are left out."""
    found = {}
    for path in sorted(folder.iterdir(), key=_order):
        if path.is_dir() and not path.name.startswith("."):
            inside = [file for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.name[0] != "."]
            if inside:
                found[path.name] = sorted(inside, key=_order)
    return found


def _order(path: Path) -> tuple[bool, int, str]:
    """Sort numbers first, as numbers: 2 before 10."""
    is_number = path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 20
    return not is_number, int(path.stem) if is_number else 0, path.name


def read_folder(folder: Path) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set, or None for it."""
    found = find(folder)
    classes = tuple(found["train"])
    for name in found["test"]:
        if name not in classes:
            raise DataError(f"{folder}: the classes of test must be among those of train, {name!r} is not")
    train = _read(folder, found["train"], classes)
    return train, _read(folder, found["test"], classes) if found["test"] else None


def _read(folder: Path, found: dict[str, list[Path]], classes: tuple[str, ...]) -> Dataset:
    files = [file for name in found for file in found[name]]
    labels = np.repeat([classes.index(name) for name in found], [len(found[name]) for name in found])
    first = read_image(files[0])
    if first.size * len(files) > formats.CEILING:
        raise DataError(
            f"{folder}: must hold at most {formats.CEILING:,} pixels, {len(files):,} × {first.size:,} are more"
        )
    images = np.empty((len(files), *first.shape), np.uint8)
    images[0] = first
    for i, file in enumerate(files[1:], start=1):
        images[i] = read_image(file, first.shape)
    return Dataset(images, labels, classes=classes, name=str(folder))


def read_image(file: Path, shape: tuple[int, ...] | None = None) -> Bytes:
    """Return one picture of a folder as grey bytes (H, W); `shape` (H, W) is what it must have."""
    name = f"{file}:"
    with opened(content_of(file, name, LARGEST_FILE), name) as picture:
        width, height = picture.size
        if shape and (height, width) != shape:
            raise DataError(f"{name} must be {shape[1]}×{shape[0]} as the first picture is, got {width}×{height}")
        if max(picture.size) > LARGEST_SIDE:
            raise DataError(f"{name} must be at most {LARGEST_SIDE} pixels wide and high, got {width}×{height}")
        if picture.mode not in GREYABLE:
            raise DataError(f"{name} must have 8 bits a colour, its mode is {picture.mode}")
        if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
            raise DataError(f"{name} must have no transparent pixels; put it on a background first")
        return np.array(picture.convert("L"))
