"""The data sets that are known by name: where they can be fetched, and how to tell that it is they.

MNIST is known by the SHA-256 of its four files unpacked (the same data circulates under many gzip encodings), and so is
the bundled sample; Fashion-MNIST and KMNIST by the classic MD5 of the four `.gz`. All of them use the same file names:
so a folder is what its checksums say, never what its names say.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from byhand.data.dataset import DIGITS, Dataset
from byhand.data.formats import digest, idx

FILES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "test-images": "t10k-images-idx3-ubyte",
    "test-labels": "t10k-labels-idx1-ubyte",
}


class Entry(NamedTuple):
    """One known data set. The checksums are in the order of `FILES`."""

    name: str
    about: str
    classes: tuple[str, ...] = DIGITS
    mirrors: tuple[str, ...] = ()
    sha256: tuple[str, ...] | None = None  # of the files unpacked
    md5: tuple[str, ...] | None = None  # of the files gzipped


CATALOG = {
    entry.name: entry
    for entry in (
        Entry(
            "mnist",
            "handwritten digits, 60,000 + 10,000",
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            sha256=(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            md5=(
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
        Entry(
            "fashion-mnist",
            "pictures of clothes, 60,000 + 10,000",
            classes=(
                "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                "Ankle boot",
            ),
            mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
            md5=(
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        Entry(
            "kmnist",
            "old Japanese handwriting, 60,000 + 10,000",
            classes=tuple("おきすつなはまやれを"),
            mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            md5=(
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
        ),
        Entry(
            "mnist-5k",
            "the bundled sample of MNIST, 4,000 + 1,000",
            sha256=(
                "c19d6b72364fe159b01b1ce511c42948ccb91dd7596ec4901537481a76b92f31",
                "b16c22d78d8d13216948ab45edbe0591249eb6979ed9ce2eb9fd46c738a090a8",
                "d6fe0d56b526016df37ec3734a23eeb705cf9f12f9a34ac116af338d3bd79ba7",
                "a8b314af35e61e7f39a92a08f0af0dd42d6f65b09562d49fc01fd459fbcf3e48",
            ),
        ),
    )
}  # fmt: skip


def known_name(name: str) -> str | None:
    """The name as the catalog writes it, whether typed `Fashion_MNIST` or `fashion-mnist`; None if it isn't there."""
    name = name.lower().replace("_", "-")
    return name if name in CATALOG else None


def identify(train: Dataset, test: Dataset | None, files: dict[str, Path]) -> Entry | None:
    """Which known data set this is, by its pictures or by the files that they came from; None if it is another."""
    if test is None:
        return None
    parts = (train.images, train.labels, test.images, test.labels)
    unpacked = tuple(_sha256(part) for part in parts) if _could_be_known(train, test) else None
    packs = tuple(digest(files[part], "md5") if part in files else "" for part in FILES)
    for entry in CATALOG.values():
        if unpacked == entry.sha256 is not None or packs == entry.md5:
            return entry
    return None


def _could_be_known(train: Dataset, test: Dataset) -> bool:
    return train.shape == (28, 28) and (len(train), len(test)) in ((60_000, 10_000), (4_000, 1_000))


def _sha256(values: npt.NDArray[np.integer]) -> str:
    """Of the IDX file, unpacked, that would hold these values."""
    sha256 = hashlib.sha256(idx.header(values))
    sha256.update(np.ascontiguousarray(values, np.uint8).data)
    return sha256.hexdigest()
