"""Loading: from a name or a path to a pair of data sets.

What is looked through, in this order: the path that was given, the folder in BYHAND_DATA, the cache, the mirrors,
and, unless a data set was named, the bundled sample. A path that was given and is missing is an error, never a reason
to look further. What was read from large files is kept in the cache, and mapped from there the next time.
"""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from byhand.data import bundled, catalog, mirrors, store
from byhand.data.dataset import Dataset, Digits
from byhand.data.formats.detect import DataFiles, detect, detect_format
from byhand.data.mirrors import Progress, Say
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.text import closest

ENVIRONMENT = "BYHAND_DATA"
HELD_OUT = 7  # where there is no test set one picture in seven becomes one, as of MNIST's 70,000
SET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def load(
    name_or_path: Any = None,
    *,
    offline: bool = False,
    cache: str | os.PathLike[str] | None = None,
    say: Say | None = None,
    progress: Progress | None = None,
) -> Digits:
    """The data set with that name or at that path, as a pair with `.train` and `.test`; without one, what is there.

    Names: "mnist", "fashion-mnist", "kmnist", "mnist-5k" (bundled), and those imported; a folder called as one of them
    is "./mnist". Paths: a folder of IDX files or of pictures, CSV, mnist.pkl.gz, mnist.npz. Also (images, labels), a
    pair of such pairs, a pair of paths of CSV files, or a pandas data frame with the label first.

    `offline` never touches the network; `cache` is a folder to use in place of the user's; `say` is called with each
    line worth telling, `progress` with (file, bytes so far, bytes in all) while something is fetched.
    """
    search = Search(offline, cache, say or _say_nothing, progress)
    if name_or_path is None:
        return search.whatever_is_there()
    if not isinstance(name_or_path, str | os.PathLike):
        return _from_memory(name_or_path, search)
    name = catalog.known_name(name_or_path) if isinstance(name_or_path, str) else None
    if name:
        return search.named(catalog.CATALOG[name])
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, str) and not os.path.exists(path):  # False, too, for what can be no path
        return search.imported(name_or_path)
    return search.at(path)


@dataclasses.dataclass(frozen=True)
class Search:
    """One search for data: where it may look, and whom it tells."""

    offline: bool
    cache: str | os.PathLike[str] | None
    say: Say
    progress: Progress | None

    def whatever_is_there(self) -> Digits:
        """BYHAND_DATA, the cache, the mirrors, or else the bundled sample."""
        entry = catalog.CATALOG["mnist"]
        if base := environment():
            inside = base / entry.name
            return self.at(inside if inside.is_dir() and detect(inside) else base)
        digits = self.in_cache(entry)
        if digits:
            return digits
        why = "offline"
        if not self.offline:
            try:
                return self.fetched(entry)
            except DataMissingError:
                why = "no mirror answered"
        self.say(f"full MNIST is not here ({why}): using the bundled sample of 5,000 digits")
        return bundled.load()

    def named(self, entry: catalog.Entry) -> Digits:
        """BYHAND_DATA if it holds that data set, the cache, the mirrors."""
        if entry.name == bundled.NAME:
            return bundled.load()
        digits = self.in_environment(entry) or self.in_cache(entry)
        if digits:
            return digits
        if self.offline:
            raise DataMissingError(
                f"{entry.name}: must be in {ENVIRONMENT} or the cache when offline, it is in neither; "
                f"`byhand data get {entry.name}` fetches it"
            )
        return self.fetched(entry)

    def in_environment(self, entry: catalog.Entry) -> Digits | None:
        """What BYHAND_DATA holds, if its checksums say that it is `entry`."""
        base = environment()
        for path in (base / entry.name, base) if base else ():
            place = detect(path) if path.exists() else None
            if place:
                digits = self.read(place)
                if digits.name == entry.name:
                    return digits
                self.say(f"{ENVIRONMENT}: {path} is not {entry.name} by its checksums")
        return None

    def in_cache(self, entry: catalog.Entry) -> Digits | None:
        """What was fetched or imported under that name; if it is damaged, it is fetched again."""
        try:
            return store.kept(store.place_of_set(entry.name, self.cache))
        except DataError as error:
            self.say(str(error))
            return None

    def fetched(self, entry: catalog.Entry) -> Digits:
        """From the mirrors, into the cache."""
        train, test = mirrors.fetch(entry, say=self.say, progress=self.progress)
        place = store.place_of_set(entry.name, self.cache)
        return self.keep(place, Digits(train, test, f"fetched into {place}"))

    def imported(self, name: str) -> Digits:
        """What `byhand data import` put into the cache under `name`."""
        digits = store.kept(store.place_of_set(name, self.cache)) if SET_NAME.fullmatch(name) else None
        if digits is None:
            known = [*catalog.CATALOG, *store.names(self.cache)]
            like = closest(name, known)
            hint = f"; did you mean {like}?" if like else f" (names: {', '.join(known)})"
            raise DataMissingError(f"{name}: must be a data set's name or a path, there is neither{hint}")
        return digits

    def at(self, path: Path) -> Digits:
        """What lies at that path."""
        return self.read(detect_format(path))

    def read(self, place: DataFiles) -> Digits:
        """What lies there, from the cache if it was read before."""
        sources = list(place.files.values())
        shelf = store.place_of_path(place.kind, place.path, self.cache)
        if sources:
            try:
                digits = store.kept(shelf, sources)
            except DataError as error:
                self.say(f"{error}; reading {place.path} again")
                digits = None
            if digits:
                return digits
        stamps = [store.Stamp.of(file) for file in sources]
        digits = read(place)
        if sources and digits.train.images.nbytes >= store.WORTH_KEEPING:
            return self.keep(shelf, digits, stamps)
        return digits

    def keep(self, shelf: Path, digits: Digits, stamps: list[store.Stamp] | None = None) -> Digits:
        """Put into the cache if that can be written, and say so if it can't."""
        try:
            return store.keep(shelf, digits, stamps or [])
        except OSError as error:
            self.say(f"{shelf}: the cache can't be written ({error.strerror or error}); going on without")
            return digits


def read(place: DataFiles) -> Digits:
    """Read what lies there: named after its checksums if they are known, else after its file."""
    train, test = place.read()
    entry = catalog.identify(train, test, place.files if place.kind == "idx" else {})
    name, classes = (entry.name, entry.classes) if entry else (_name_of(place.path), None)
    return _pair(train.renamed(name, classes), test.renamed(name, classes) if test else None, str(place.path))


def _name_of(path: Path) -> str:
    """What a data set of no known checksum is called: as its file, but never as one that is known."""
    name = path.resolve().name.split(".")[0] or "data"
    return f"{name}-by-name" if catalog.known_name(name) else name


def bring_in(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Digits:
    """Read the data set at `path` into the cache, to be loaded as `name` (else as what it is) from then on.

    Another data set that was imported under that name is replaced with `force` only.
    """
    digits = read(detect_format(Path(path).expanduser()))
    name = name or re.sub(r"[^a-z0-9._-]+", "-", digits.name.lower()).strip("-._")
    if not SET_NAME.fullmatch(name):
        raise UsageError(f"the name must be small letters, digits and . _ -, at most 64, got {name!r}")
    known = catalog.known_name(name)
    if known == bundled.NAME:
        raise UsageError(f"the name must be free, {known} is the bundled sample")
    if known and digits.name != known:
        raise DataError(f"{path}: must be {known} by its checksums to be imported as {known}, it is not")
    shelf = store.place_of_set(known or name, cache)
    train, test = (part.renamed(known or name) for part in digits)
    if not force and (there := _other_than(digits, shelf)):
        raise UsageError(f"{name} is there already, another data set, {there}: give another name, or --force")
    try:
        return store.keep(shelf, Digits(train, test, f"imported from {digits.source}"))
    except OSError as error:
        raise DataError(f"{shelf}: can't be written: {error.strerror or error}") from None


def _other_than(digits: Digits, shelf: Path) -> str | None:
    """Where the data set on that shelf is from, if it is a sound one and its pictures are not these."""
    try:
        there = store.kept(shelf)
    except DataError:
        return None
    if there is None or all(
        one.classes == other.classes
        and np.array_equal(one.images, other.images)
        and np.array_equal(one.labels, other.labels)
        for one, other in zip(there, digits, strict=True)
    ):
        return None
    return there.source


def _pair(train: Dataset, test: Dataset | None, source: str) -> Digits:
    """Both sets; where there is no test set, a part of the training set is held out, and the source says so."""
    if test is None:
        if len(train) < HELD_OUT:
            raise DataError(
                f"{source}: must have at least {HELD_OUT} pictures to hold out a test set, has {len(train)}"
            )
        count = len(train)
        train, test = train.split(1 / HELD_OUT, rng=np.random.default_rng(0))
        source = f"{source} (no test set: {len(test):,} of {count:,} pictures held out)"
    return Digits(train, test, source)


def _from_memory(data: Any, search: Search) -> Digits:
    """A data frame, (images, labels), two of those, or two paths of CSV files."""
    if isinstance(data, Digits):
        return data
    if hasattr(data, "columns"):
        return _pair(Dataset.from_frame(data), None, "a data frame")
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise UsageError(
            "data must be a name, a path, a data frame, (images, labels) or a pair of those, "
            f"got {type(data).__name__}{f' of {len(data)}' if isinstance(data, tuple | list) else ''}"
        )
    first, second = data
    if isinstance(first, str | os.PathLike) and isinstance(second, str | os.PathLike):
        files = {"train": Path(first).expanduser(), "test": Path(second).expanduser()}
        return search.read(DataFiles("csv", files["train"], files))
    if hasattr(first, "columns") and hasattr(second, "columns"):
        return _pair(Dataset.from_frame(first), Dataset.from_frame(second), "two data frames")
    if all(isinstance(part, tuple | list) and len(part) == 2 and np.ndim(part[0]) > 1 for part in data):
        return _pair(Dataset.from_arrays(*first), Dataset.from_arrays(*second), "arrays")
    return _pair(Dataset.from_arrays(first, second), None, "arrays")


@dataclasses.dataclass(frozen=True)
class NamedSet:
    """A data set that has a name: where it is on this machine, or why it can't be used."""

    name: str
    about: str
    where: str | None = None
    problem: str | None = None


def named_sets() -> list[NamedSet]:
    """Return the known and the imported data sets, with the place where `load` finds each without the network."""
    search = Search(True, None, _say_nothing, None)
    found = []
    for name in dict.fromkeys([*catalog.CATALOG, *store.names()]):
        entry = catalog.CATALOG.get(name)
        about, where, problem = entry.about if entry else "imported", None, None
        try:
            if name == bundled.NAME:
                where = "bundled"
            elif digits := (entry and search.in_environment(entry)) or store.kept(store.place_of_set(name, None)):
                where = digits.source
        except DataError as error:
            problem = str(error)
        found.append(NamedSet(name, about, where, problem))
    return found


def fetch(name: str, *, offline: bool = False, say: Say | None = None, progress: Progress | None = None) -> Digits:
    """Return a known data set from the cache, where it is put if it isn't there. Arguments as for `load`."""
    known = catalog.known_name(name)
    if known is None:
        raise UsageError(f"NAME must be one of {', '.join(catalog.CATALOG)}, got {name!r}")
    entry, search = catalog.CATALOG[known], Search(offline, None, say or _say_nothing, progress)
    if offline or known == bundled.NAME:
        return search.named(entry)
    return search.in_cache(entry) or search.fetched(entry)


def environment() -> Path | None:
    """The path in BYHAND_DATA; if it is set, something must be there."""
    if not (given := os.environ.get(ENVIRONMENT)):
        return None
    path = Path(given).expanduser()
    if not path.exists():
        raise DataMissingError(f"{ENVIRONMENT}: must be a folder or file that exists, {path} does not")
    return path


def _say_nothing(_: str) -> None:
    """For those who didn't ask to be told."""
