"""IDX, the original format of MNIST: a magic number, the sizes (32 bits each, big-endian), and the bytes.

00 00 08 03 | N | H | W | N·H·W pixels
00 00 08 01 | N | N labels
"""

import math
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from byhand.data.dataset import DIGITS, Bytes, Dataset, check_labels
from byhand.data.formats import File, read_all
from byhand.errors import DataError

NAME = re.compile(r"(train|t10k|test)[-._](images|labels)[-._]idx([13])[-._]ubyte(\.gz)?", re.IGNORECASE)
KINDS = {1: "labels", 3: "images"}


def read(path: File, dimensions: int) -> Bytes:
    """Return the array of one file: images (N, H, W) for 3 dimensions, labels (N,) for 1."""
    content, start = read_all(path), 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]):
        rule = f"{KINDS[dimensions]} must begin with 00 00 08 {dimensions:02x}"
        raise DataError(f"{path}: {rule}, got {content[:4].hex(' ') or 'nothing'}")
    if len(content) < start:
        raise DataError(f"{path}: the header must have {start} bytes, got {len(content)}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if math.prod(shape) != len(content) - start:
        claim = " × ".join(f"{n:,}" for n in shape)
        raise DataError(f"{path}: the header claims {claim} bytes, the file has {len(content) - start:,}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def header(values: npt.NDArray[np.integer[Any]]) -> bytes:
    """Return the header of a file with these images (N, H, W) or labels (N,)."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)


def dump(values: npt.NDArray[np.integer[Any]]) -> bytes:
    """Return a file with these images (N, H, W) or labels (N,)."""
    return header(values) + values.astype(np.uint8).tobytes()


def find(folder: Path) -> dict[str, Path]:
    """Return the IDX files of a folder, {"train-images": path, …}; gzipped ones are preferred, for their checksums."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (path.suffix.lower() == ".gz", path.name)):
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            part = "train" if match[1].lower() == "train" else "test"
            found[f"{part}-{match[2].lower()}"] = path
    return found


def read_folder(folder: Path) -> tuple[Dataset, Dataset | None]:
    """Return the training set, and the test set or None."""
    found = find(folder)
    for part in ("train", "test"):
        for kind, other in (("images", "labels"), ("labels", "images")):
            if f"{part}-{kind}" in found and f"{part}-{other}" not in found:
                raise DataError(f"{folder}: must contain images and labels, the {part} {other} are missing")
    sets = [
        read_pair(found[f"{part}-images"], found[f"{part}-labels"])
        for part in ("train", "test")
        if f"{part}-images" in found
    ]
    return sets[0], sets[1] if len(sets) == 2 else None


def read_pair(image_file: File, label_file: File) -> Dataset:
    """Return the data set of an image file and a label file."""
    images, labels = read(image_file, 3), read_labels(label_file)
    if len(images) != len(labels):
        raise DataError(f"{label_file}: must have a label for each of {len(images):,} images, got {len(labels):,}")
    return Dataset(images, labels, name=str(image_file))


def read_labels(path: File) -> Bytes:
    """Return the labels (N,) of one file, 0 to 9."""
    labels = read(path, 1)
    check_labels(labels, DIGITS, str(path))
    return labels
