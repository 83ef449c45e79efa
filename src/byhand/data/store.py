"""The cache: data sets as plain arrays, which are memory-mapped.

    <cache>/sets/NAME/     downloaded or imported, found by name
    <cache>/parsed/KEY/    read from the user's files, found by their path

Each folder has four .npy files and `manifest.json`, which is written last. Sources with another size, time or inode are
read again; arrays in files with another size or time are verified by checksum.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np

from byhand import files
from byhand.data.dataset import Dataset, TrainTest
from byhand.errors import DataError
from byhand.schema import checked, json_value

CacheFolder = str | os.PathLike[str] | None

VERSION = 1
MANIFEST = "manifest.json"
MTIME_RESOLUTION = 2_000_000_000  # ns: changes within this time may have the same time stamp
MIN_CACHED_BYTES = 2_000_000  # smaller data sets are read from their files just as fast


def folder(cache: CacheFolder = None) -> Path:
    """Return the cache folder: `cache` if given, then BYHAND_CACHE, then the user's cache folder."""
    if cache or (cache := os.environ.get("BYHAND_CACHE")):
        return Path(cache).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("byhand", appauthor=False))


def named_folder(name: str, cache: CacheFolder = None) -> Path:
    return folder(cache) / "sets" / name


def parsed_folder(kind: str, path: Path, cache: CacheFolder) -> Path:
    """Return the folder of the arrays read from `path`."""
    key = hashlib.sha256(f"{kind}\n{path.resolve()}".encode()).hexdigest()[:24]
    return folder(cache) / "parsed" / key


def names(cache: CacheFolder = None) -> list[str]:
    """Return the names of the downloaded and imported data sets."""
    sets = folder(cache) / "sets"
    return sorted(path.parent.name for path in sets.glob(f"*/{MANIFEST}"))


class Manifest(TypedDict):
    """The keys of `manifest.json`."""

    version: int
    name: str
    source: str
    classes: list[str]
    scale: list[Any]
    checksum: list[str]
    sources: list[list[Any]]
    parts: dict[str, dict[str, Any]]


class FileStat(NamedTuple):
    """File status, by which a change is detected without reading the file."""

    path: str
    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "FileStat":
        stat = path.stat()
        return cls(str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    @property
    def is_settled(self) -> bool:
        """True if any later change will be visible in the time stamps."""
        return max(self.modified, self.changed) + MTIME_RESOLUTION < time.time_ns()


def save(place: Path, digits: TrainTest, sources: Sequence[FileStat] = ()) -> TrainTest:
    """Write `digits` to a folder and return it memory-mapped; `sources`: their status before the read."""
    paths = [Path(source.path) for source in sources]
    if not all(source.is_settled for source in sources) or [FileStat.of(path) for path in paths] != list(sources):
        return digits  # changed during or just before the read: the next load caches it
    parts = {}
    for which, part in (("train", digits.train), ("test", digits.test)):
        label_type = np.uint8 if len(part.classes) <= 256 else np.int64
        for kind, values in (("images", part.images), ("labels", part.labels.astype(label_type))):
            path = place / f"{which}-{kind}.npy"
            with files.replacing(path) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
            parts[f"{which}-{kind}"] = _size_and_time(path)
    manifest = {
        "version": VERSION,
        "name": digits.name,
        "source": digits.source,
        "classes": digits.classes,
        "scale": [digits.train.scale, digits.test.scale],
        "checksum": [digits.train.checksum, digits.test.checksum],
        "sources": sources,
        "parts": parts,
    }
    files.write_text(place / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
    return load(place, paths) or digits


def _size_and_time(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "modified": stat.st_mtime_ns}


def load(place: Path, sources: Sequence[Path] = (), *, verify: bool = False) -> TrainTest | None:
    """Return the data set in a folder, or None if it is not up to date; `verify` hashes unchanged files too."""
    if not os.path.exists(place / MANIFEST):
        return None
    try:
        found = checked(dict[str, Any], json_value((place / MANIFEST).read_bytes()), "the manifest")
        if found.get("version", VERSION) != VERSION:
            return None
        manifest = checked(Manifest, found)
        if [list(FileStat.of(path)) for path in sources] != manifest["sources"]:
            return None
        return _open(place, manifest, verify)
    except FileNotFoundError as error:
        raise DataError(f"{place}: the cached data set is incomplete: {Path(error.filename).name} is missing") from None
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise DataError(f"{place}: the cached data set is damaged: {error}") from None


def _open(place: Path, manifest: Manifest, verify: bool) -> TrainTest:
    sets = []
    for which, scale, checksum in zip(("train", "test"), manifest["scale"], manifest["checksum"], strict=True):
        paths = {f"{which}-{kind}": place / f"{which}-{kind}.npy" for kind in ("images", "labels")}
        images, labels = (np.load(path, mmap_mode="r", allow_pickle=False) for path in paths.values())
        part = Dataset(images, labels, classes=manifest["classes"], name=manifest["name"], scale=scale)
        parts = [manifest["parts"].get(name, {}) for name in paths]  # older manifests also have a hash of each file
        is_same = all(old | _size_and_time(path) == old for old, path in zip(parts, paths.values(), strict=True))
        if (verify or not is_same) and part.checksum != checksum:
            raise DataError(f"the {which} set has a wrong checksum")
        part.checksum = checksum
        sets.append(part)
    return TrainTest(sets[0], sets[1], manifest["source"])
