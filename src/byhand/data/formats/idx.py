"""IDX: the format that MNIST came in. Four bytes of magic, the sizes, then the bytes themselves.

    00 00 08 03 | N | H | W | N·H·W pixels          images
    00 00 08 01 | N | N labels                      labels            sizes: 32 bits each, big-endian

`read_folder` finds the files of a folder, gzipped or not, under MNIST's names or those that differ in `.` and `-`;
`dump` writes one array. The header is checked against the size of the file before anything is allocated.
"""

import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from byhand.data.dataset import DIGITS, Bytes, Dataset, check_labels
from byhand.data.formats import gzip_io as packed
from byhand.errors import DataError

NAME = re.compile(r"(train|t10k|test)[-._](images|labels)[-._]idx([13])[-._]ubyte(\.gz)?", re.IGNORECASE)
WHAT = {1: "labels", 3: "images"}


def read(path: packed.File, dimensions: int) -> Bytes:
    """The array of one file: images (N, H, W) for 3 dimensions, labels (N,) for 1."""
    most = packed.most_bytes(path)
    with packed.opened(path) as file:
        magic = file.read(4)
        if magic != bytes([0, 0, 8, dimensions]):
            wanted = f"00 00 08 {dimensions:02x}"
            raise DataError(f"{path}: {WHAT[dimensions]} must begin with {wanted}, got {magic.hex(' ') or 'nothing'}")
        sizes = file.read(4 * dimensions)
        if len(sizes) < 4 * dimensions:
            raise DataError(f"{path}: the header must have {4 + 4 * dimensions} bytes, got {4 + len(sizes)}")
        shape = struct.unpack(f">{dimensions}I", sizes)
        claimed, claim = math.prod(shape), " × ".join(f"{n:,}" for n in shape)
        room = max(most - 4 - 4 * dimensions, 0)
        if claimed > room:
            raise DataError(f"{path}: the header claims {claim} bytes, the file can hold {room:,} at most")
        values = np.empty(claimed, np.uint8)
        there = _fill(file, values)
        if there < claimed:
            raise DataError(f"{path}: the header claims {claim} bytes, only {there:,} are there")
        if file.read(1):
            raise DataError(f"{path}: the header claims {claim} bytes, the file holds more")
    return values.reshape(shape)


def _fill(file: Any, values: Bytes) -> int:
    """Read into `values` until it is full or the file ends; how many bytes there were."""
    window, there = values.data, 0
    while there < len(values) and (count := file.readinto(window[there : there + (1 << 24)])):
        there += count
    return there


def header(values: npt.NDArray[np.integer[Any]]) -> bytes:
    """What stands before `values`, images (N, H, W) or labels (N,), in their file."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)


def dump(values: npt.NDArray[np.integer[Any]]) -> bytes:
    """The file that holds `values`, images (N, H, W) or labels (N,)."""
    return header(values) + values.astype(np.uint8).tobytes()


def find(folder: Path) -> dict[str, Path]:
    """The IDX files of a folder: {"train-images": path, …}. Of a file and its gzipped twin, the gzipped one.

    (It has a checksum of its own, and Fashion-MNIST and KMNIST are known by it.)
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (path.suffix.lower() == ".gz", path.name)):
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            part = "train" if match[1].lower() == "train" else "test"
            found[f"{part}-{match[2].lower()}"] = path
    return found


def read_folder(folder: Path) -> tuple[Dataset, Dataset | None]:
    """The training set and the test set (None if the folder has but one set)."""
    found = find(folder)
    missing = missing_files(found)
    if missing:
        raise DataError(f"{folder}: {missing}")
    sets = [
        read_pair(found[f"{part}-images"], found[f"{part}-labels"])
        for part in ("train", "test")
        if f"{part}-images" in found
    ]
    return sets[0], sets[1] if len(sets) == 2 else None


def missing_files(found: Mapping[str, packed.File]) -> str | None:
    """What is wrong if images lack their labels, or labels their images."""
    if not found:
        return "must hold IDX files (train-images-idx3-ubyte.gz, …), none is there"
    for part in ("train", "test"):
        here = [kind for kind in ("images", "labels") if f"{part}-{kind}" in found]
        if len(here) == 1:
            gone = "labels" if here == ["images"] else "images"
            return f"images and labels must both be there, the {part} {gone} are missing"
    return None


def read_pair(image_file: packed.File, label_file: packed.File) -> Dataset:
    """The images of one file with the labels of another, held against each other."""
    images, labels = read(image_file, 3), read(label_file, 1)
    if len(images) != len(labels):
        raise DataError(f"{label_file}: must hold a label for each of {len(images):,} images, got {len(labels):,}")
    check_labels(labels, DIGITS, str(label_file))
    return Dataset(images, labels, name=str(image_file))
