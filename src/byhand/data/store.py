"""The cache: data sets that were read once, as plain arrays that the next load maps into memory.

    <cache>/sets/NAME/     fetched or imported, found by name
    <cache>/parsed/KEY/    read from files of the user's, found by their path

Each holds four .npy files and `manifest.json`, written last, which says what they must be. Sources are read again if
their size, times or inode have changed. The arrays are hashed only if their files' size or time have changed, and must
then have the checksum that they were written with. The folder may be deleted at any time.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from byhand import files
from byhand.data.dataset import Dataset, TrainTest
from byhand.errors import DataError

VERSION = 1
MANIFEST = "manifest.json"
MTIME_RESOLUTION = 2_000_000_000  # ns: the coarsest clock of a file system; a file changed within it may not show it
WORTH_KEEPING = 2_000_000  # bytes of pictures: less is read again as quickly


def folder(cache: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the cache: `cache`, else the environment's BYHAND_CACHE, else the user's cache folder."""
    if cache or (cache := os.environ.get("BYHAND_CACHE")):
        return Path(cache).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("byhand", appauthor=False))


def place_of_set(name: str, cache: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the data set of that name."""
    return folder(cache) / "sets" / name


def place_of_path(kind: str, path: Path, cache: str | os.PathLike[str] | None) -> Path:
    """Return the folder of the arrays that were read from `path`."""
    key = hashlib.sha256(f"{kind}\n{path.resolve()}".encode()).hexdigest()[:24]
    return folder(cache) / "parsed" / key


def names(cache: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the names of the data sets that were fetched or imported."""
    sets = folder(cache) / "sets"
    return sorted(path.parent.name for path in sets.glob(f"*/{MANIFEST}"))


class FileStat(NamedTuple):
    """The figures that show, without reading a file, that it has not changed."""

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
        """True if the file has not changed for so long that any change from now on will show."""
        return max(self.modified, self.changed) + MTIME_RESOLUTION < time.time_ns()


def keep(place: Path, digits: TrainTest, sources: Sequence[FileStat] = ()) -> TrainTest:
    """Put `digits` at `place` and return them as they lie there; OSError if that can't be written.

    `sources` are the stats of the files that it was read from, taken before they were read.
    """
    paths = [Path(source.path) for source in sources]
    if not all(source.is_settled for source in sources) or [FileStat.of(path) for path in paths] != list(sources):
        return digits  # a file may have changed while it was read, or just before: the next load keeps them
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
    return kept(place, paths) or digits


def _size_and_time(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "modified": stat.st_mtime_ns}


def kept(place: Path, sources: Sequence[Path] = (), *, trust: bool = True) -> TrainTest | None:
    """Return the data set at `place`; None if there is none or its sources have changed; DataError if it is damaged.

    Without `trust` the arrays are hashed, whatever the size and time of their files are.
    """
    if not os.path.exists(place / MANIFEST):
        return None
    try:
        manifest = json.loads((place / MANIFEST).read_text("utf-8"))
        stats = [list(FileStat.of(path)) for path in sources]
        if manifest["version"] != VERSION or stats != manifest["sources"]:
            return None
        return _open(place, manifest, trust)
    except FileNotFoundError as error:
        raise DataError(f"{place}: a kept data set must be whole, {Path(error.filename).name} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{place}: a kept data set must be undamaged: {error}") from None


def _open(place: Path, manifest: dict[str, Any], trust: bool) -> TrainTest:
    """Return the arrays as memory maps of their files."""
    sets = []
    for which, scale, checksum in zip(("train", "test"), manifest["scale"], manifest["checksum"], strict=True):
        paths = {f"{which}-{kind}": place / f"{which}-{kind}.npy" for kind in ("images", "labels")}
        images, labels = (np.load(path, mmap_mode="r", allow_pickle=False) for path in paths.values())
        part = Dataset(images, labels, classes=manifest["classes"], name=manifest["name"], scale=scale)
        noted = [manifest["parts"][name] for name in paths]  # an earlier version also noted a hash of each file
        is_same = all(note | _size_and_time(path) == note for note, path in zip(noted, paths.values(), strict=True))
        if not (trust and is_same) and part.checksum != checksum:
            raise DataError(f"the {which} set has a wrong checksum")
        part.checksum = checksum
        sets.append(part)
    return TrainTest(sets[0], sets[1], manifest["source"])
