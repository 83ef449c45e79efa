"""The cache: data sets that were read once, as plain arrays that the next load maps into memory.

    <cache>/sets/NAME/     fetched or imported, found by name
    <cache>/parsed/KEY/    read from files of the user's, found by their path

Each holds four .npy files and `manifest.json`, written last, which says what they must be. Nothing is hashed while
size and times are what the manifest noted after hashing. If they differ, the checksum decides: for a source, that it
has not changed; for a part, that it is undamaged. The folder may be deleted at any time.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from byhand import files
from byhand.data import formats
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


def place_of_set(name: str, cache: str | os.PathLike[str] | None) -> Path:
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
    """What shows, without reading it, that a file has not changed."""

    path: str
    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "FileStat":
        stat = path.stat()
        return cls(str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    def with_digest(self, sha256: str | None = None) -> dict[str, Any]:
        """Return the file's entry in a manifest, with its checksum (computed if it is not given)."""
        return self._asdict() | {"sha256": sha256 or formats.digest(Path(self.path))}

    def is_settled(self, now: int) -> bool:
        """True if the file was last changed so long before `now` (ns) that a later change would show."""
        return max(self.modified, self.changed) + MTIME_RESOLUTION < now


# ---- writing


def keep(place: Path, digits: TrainTest, sources: Sequence[FileStat] = ()) -> TrainTest:
    """Put `digits` at `place` and return them as they lie there; OSError if that can't be written.

    `sources` are the stats of the files that it was read from, taken before they were read.
    """
    now = time.time_ns()
    noted = [source.with_digest() for source in sources]
    paths = [Path(source.path) for source in sources]
    if [FileStat.of(path) for path in paths] != list(sources):
        return digits  # changed while it was read: these pictures belong to neither version
    parts = {}
    for which, part in (("train", digits.train), ("test", digits.test)):
        label_type = np.uint8 if len(part.classes) <= 256 else np.int64
        for kind, values in (("images", part.images), ("labels", part.labels.astype(label_type))):
            parts[f"{which}-{kind}"] = _write(place / f"{which}-{kind}.npy", values)
    manifest = {
        "version": VERSION,
        "name": digits.name,
        "source": digits.source,
        "classes": digits.classes,
        "scale": [digits.train.scale, digits.test.scale],
        "checksum": [digits.train.checksum, digits.test.checksum],
        "seen": now,
        "sources": noted,
        "parts": parts,
    }
    _write_manifest(place, manifest)
    return kept(place, paths) or digits


def _write(path: Path, values: npt.NDArray[Any]) -> dict[str, Any]:
    """Write one array, and return its entry in the manifest."""
    with files.replacing(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    return {"sha256": formats.digest(path), **_size_and_time(path)}


def _write_manifest(place: Path, manifest: dict[str, Any]) -> None:
    files.write_text(place / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))


def _size_and_time(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "modified": stat.st_mtime_ns}


# ---- reading


def kept(place: Path, sources: Sequence[Path] = (), *, trust: bool = True) -> TrainTest | None:
    """Return the data set at `place`; None if there is none or its sources have changed; DataError if it is damaged.

    Without `trust` every part is hashed, whatever its size and time are.
    """
    if not os.path.exists(place / MANIFEST):
        return None
    try:
        manifest = json.loads((place / MANIFEST).read_text("utf-8"))
        if manifest["version"] != VERSION:
            return None
        changes = _changed_sources(manifest, sources)
        if changes is None:
            return None
        changes |= _changed_parts(place, manifest, trust)
        if changes:
            with contextlib.suppress(OSError):  # a cache that can't be written can still be read
                _write_manifest(place, manifest | changes)
        return _open(place, manifest)
    except FileNotFoundError as error:
        raise DataError(f"{place}: a kept data set must be whole, {Path(error.filename).name} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{place}: a kept data set must be undamaged: {error}") from None


def _changed_sources(manifest: dict[str, Any], sources: Sequence[Path]) -> dict[str, Any] | None:
    """Return new stats for the manifest if those of the sources have changed; None if a source itself has."""
    noted = {entry["path"]: entry for entry in manifest["sources"]}
    now, stats = time.time_ns(), [FileStat.of(path) for path in sources]
    if {stat.path for stat in stats} != set(noted):
        return None
    same = [stat.with_digest(noted[stat.path]["sha256"]) for stat in stats]
    unsure = [
        entry
        for stat, entry in zip(stats, same, strict=True)
        if entry != noted[stat.path] or not stat.is_settled(manifest["seen"])
    ]
    if any(formats.digest(Path(entry["path"])) != entry["sha256"] for entry in unsure):
        return None
    if unsure and [FileStat.of(path) for path in sources] == stats:
        return {"sources": same, "seen": now}
    return {}


def _changed_parts(place: Path, manifest: dict[str, Any], trust: bool) -> dict[str, Any]:
    """Return new sizes and times for the manifest, if those of a part have changed but its checksum has not."""
    parts = {}
    for name, noted in manifest["parts"].items():
        path = place / f"{name}.npy"
        parts[name] = {"sha256": noted["sha256"], **_size_and_time(path)}
        if (not trust or parts[name] != noted) and formats.digest(path) != noted["sha256"]:
            raise DataError(f"{path.name} has a wrong checksum")
    return {"parts": parts} if parts != manifest["parts"] else {}


def _open(place: Path, manifest: dict[str, Any]) -> TrainTest:
    """Return the arrays as memory maps of their files."""
    sets = []
    for which, scale, checksum in zip(("train", "test"), manifest["scale"], manifest["checksum"], strict=True):
        images, labels = (
            np.load(place / f"{which}-{kind}.npy", mmap_mode="r", allow_pickle=False) for kind in ("images", "labels")
        )
        part = Dataset(images, labels, classes=manifest["classes"], name=manifest["name"], scale=scale)
        part.checksum = checksum
        sets.append(part)
    return TrainTest(sets[0], sets[1], manifest["source"])
