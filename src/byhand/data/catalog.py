"""The catalog of data sets with names: their checksums and their mirrors.

They have the same file names, so they are identified by checksums: MNIST by the SHA-256 of its uncompressed files (its
gzip encodings vary), Fashion-MNIST and KMNIST by the MD5 of the `.gz` files. Downloads are verified before use.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from byhand.data.dataset import DIGITS, Dataset, TrainTest
from byhand.data.formats import File, InMemoryFile, idx, read_all
from byhand.errors import DataError, DataMissingError
from byhand.text import printable

Progress = Callable[[str, int, int], None]  # (file, bytes so far, total bytes or 0)
Say = Callable[[str], None]

BUNDLED = "mnist-5k"
FILES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "test-images": "t10k-images-idx3-ubyte",
    "test-labels": "t10k-labels-idx1-ubyte",
}


class Entry(NamedTuple):
    """A data set of the catalog. The checksums are in the order of `FILES`."""

    name: str
    about: str
    classes: tuple[str, ...] = DIGITS
    mirrors: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()  # of the uncompressed files, or
    md5: tuple[str, ...] = ()  # of the gzipped files


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
            BUNDLED,
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
    """Return the name in the catalog's spelling, `fashion-mnist` for `Fashion_MNIST`, or None."""
    name = name.lower().replace("_", "-")
    return name if name in CATALOG else None


def identify(train: Dataset, test: Dataset | None, files: dict[str, Path]) -> Entry | None:
    """Return the entry with the checksums of this data or of its files, or None."""
    if test is None:
        return None
    parts = (train.images, train.labels, test.images, test.labels)
    unpacked = tuple(_sha256(part) for part in parts)
    packed = tuple(_md5(files[part].read_bytes()) if part in files else "" for part in FILES)
    for entry in CATALOG.values():
        if unpacked == entry.sha256 or packed == entry.md5:
            return entry
    return None


def _sha256(values: npt.NDArray[np.integer]) -> str:
    """Return the checksum of the uncompressed IDX file with these values."""
    sha256 = hashlib.sha256(idx.header(values))
    sha256.update(np.ascontiguousarray(values, np.uint8).data)
    return sha256.hexdigest()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _train_test(files: Mapping[str, File], name: str, classes: tuple[str, ...], source: str) -> TrainTest:
    train, test = (idx.read_pair(files[f"{part}-images"], files[f"{part}-labels"]) for part in ("train", "test"))
    return TrainTest(train.renamed(name, classes), test.renamed(name, classes), source)


@functools.cache  # its arrays are read-only
def bundled() -> TrainTest:
    """Return the bundled sample: 400 + 100 digits of each class (see `tools/make_sample.py`)."""
    folder = resources.files("byhand.data") / "sample"  # may be inside a zip file
    files = {
        part: InMemoryFile(f"{BUNDLED}/{name}.gz", (folder / f"{name}.gz").read_bytes()) for part, name in FILES.items()
    }
    return _train_test(files, BUNDLED, DIGITS, "the bundled sample")


CONNECT_TIMEOUT, READ_TIMEOUT = 3, 20  # seconds
MAX_DOWNLOAD = 64 << 20  # bytes; the largest known file has 18 MB


def fetch(entry: Entry, *, say: Say, progress: Progress | None = None) -> TrainTest:
    """Download a data set from its mirrors, which are tried in turn."""
    mirrors, files = list(entry.mirrors), {}
    say(f"downloading {entry.name} from {_host(mirrors[0])}")
    for number, (part, name) in enumerate(FILES.items()):
        files[part] = _download_file(entry, number, f"{name}.gz", mirrors, say, progress)
    return _train_test(files, entry.name, entry.classes, _host(mirrors[0]))


def _download_file(
    entry: Entry, number: int, name: str, mirrors: list[str], say: Say, progress: Progress | None
) -> InMemoryFile:
    """Download a file from the first mirror that has it; the others move to the end of the list."""
    reasons = []
    for mirror in tuple(mirrors):
        try:
            file = InMemoryFile(f"{mirror}{name}", _download(f"{mirror}{name}", name, progress))
            _check(entry, number, file)
            return file
        except (OSError, DataError) as error:
            reason = _reason(error)
            say(f"{_host(mirror)}: {name}: {reason}")
            reasons.append(f"{_host(mirror)}: {reason}")
            mirrors.append(mirrors.pop(mirrors.index(mirror)))
    raise DataMissingError(f"{entry.name}: {name} can't be downloaded; {'; '.join(reasons)}")


def _check(entry: Entry, number: int, file: InMemoryFile) -> None:
    """Raise an error unless the SHA-256 of the content or the MD5 of the `.gz` file is right."""
    if entry.sha256:
        kind, known, found = "SHA-256", entry.sha256[number], hashlib.sha256(read_all(file)).hexdigest()
    else:
        kind, known, found = "MD5", entry.md5[number], _md5(file.content)
    if found != known:
        raise DataError(f"the {kind} must be {known[:12]}…, got {found[:12]}…")


def _download(url: str, name: str, progress: Progress | None) -> bytes:
    import requests

    content = bytearray()
    headers = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), headers=headers) as response:
        response.raise_for_status()
        size = int(response.headers.get("content-length", 0))
        for piece in response.iter_content(1 << 16):
            content += piece
            if len(content) > MAX_DOWNLOAD:
                raise DataError(f"a file must have at most {MAX_DOWNLOAD:,} bytes, got more")
            if progress:
                progress(name, len(content), size)
    if progress and len(content) != size:  # without Content-Length
        progress(name, len(content), len(content))
    return bytes(content)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: Exception) -> str:
    """Return a short description of a failed download."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"HTTP status {status}"
    if "Timeout" in type(error).__name__:
        return "timeout"
    if "Connection" in type(error).__name__:
        return "connection failed"
    return printable(error) or type(error).__name__
