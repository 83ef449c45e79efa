"""The teacher's file: what each function is worth, the seed of the hidden numbers, and extra checks.

It is a Python file, or TOML where there are no extra checks. Every entry may be left out:

    page = "l_layer"              # or "two_layer"
    seed = 7301                   # keep it to yourself: the hidden numbers follow from it and from each submission
    rounds = 2                    # how often each function is tried anew with other numbers
    timeout = 60                  # seconds for one submission
    points = {"sigmoid": 3, …}    # without it, the points of the course; a function not named here is worth nothing
    names = {"initialize_parameters": "init_weights"}   # where the notebook calls a function otherwise
"""

import hashlib
import math
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import byhand
from byhand.course.grading.extras import MARKER, Extra, prove
from byhand.course.notebooks.syllabus import lesson_of
from byhand.course.probes import PAGES
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.text import closest

ENTRIES = ("page", "seed", "rounds", "timeout", "points", "names")


@dataclass(frozen=True)
class Checks:
    """What marks are given for. `points` are in the order of the page; `digest` changes when anything here does."""

    page: str
    points: Mapping[str, float]
    seed: int = 0
    rounds: int = 1
    timeout: float = 60.0
    names: Mapping[str, str] = field(default_factory=dict)
    extras: tuple[Extra, ...] = ()
    digest: str = ""

    @property
    def of(self) -> float:
        """All points together."""
        return sum(self.points.values()) + sum(one.points for one in self.extras)


def read_checks(path: Path | None = None, page: str = "l_layer") -> Checks:
    """The checks of a file, each entry looked at; without one, the functions and points of the course."""
    content = b""
    if path is None:
        found: dict[str, Any] = {"page": page}
    else:
        if path.suffix not in (".py", ".toml"):
            raise UsageError(f"the checks must be a .py or .toml file, got {path}")
        if not path.is_file():
            raise DataMissingError(f"{path}: no such file")
        content = path.read_bytes()
        found = _of_toml(path, content) if path.suffix == ".toml" else _of_python(path, content)
    marked = (getattr(value, MARKER, None) for value in found.values())
    extras = tuple(dict.fromkeys(one for one in marked if isinstance(one, Extra)))
    entries = {name: found[name] for name in ENTRIES if name in found}
    digest = hashlib.sha256(repr((byhand.__version__, entries.get("page"), content)).encode()).hexdigest()
    checks = _judged(path, entries, extras, digest)
    for one in extras:
        prove(one, PAGES[checks.page], checks.seed)
    return checks


def _of_toml(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: must be TOML, got {error}") from error
    for name in found:
        if name not in ENTRIES:
            raise UsageError(f"{path}: must have no entries but {', '.join(ENTRIES)}, got {name}")
    return found


def _of_python(path: Path, content: bytes) -> dict[str, Any]:
    """The names that the file defines; modules beside it can be imported, after all others."""
    found: dict[str, Any] = {"__name__": "checks", "__file__": str(path)}
    sys.path.append(str(path.resolve().parent))
    try:
        exec(compile(content, str(path), "exec"), found)
    except Exception as error:
        raise DataError(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return found


def _judged(path: Path | None, found: Mapping[str, Any], extras: tuple[Extra, ...], digest: str) -> Checks:
    """The entries as they must be, or an error that names the one that is not."""

    def must(holds: bool, rule: str, value: Any) -> None:
        if not holds:
            raise UsageError(f"{path or 'the checks'}: {rule}, got {value!r}")

    page, seed, rounds = found.get("page", "l_layer"), found.get("seed", 0), found.get("rounds", 1)
    timeout, names = found.get("timeout", 60), found.get("names", {})
    must(isinstance(page, str) and page in PAGES, f"page must be one of {', '.join(PAGES)}", page)
    must(type(seed) is int and seed >= 0, "seed must be a whole number, 0 or more", seed)
    must(type(rounds) is int and 1 <= rounds <= 100, "rounds must be a whole number from 1 to 100", rounds)
    must(type(timeout) in (int, float) and 1 <= timeout <= 3600, "timeout must be from 1 to 3600 seconds", timeout)
    known = [function.name for function in PAGES[page].functions]
    given = found.get("points", {task.name: task.points for task in lesson_of(page).tasks})
    must(isinstance(given, Mapping), "points must be a dictionary, points by function", given)
    must(isinstance(names, Mapping), "names must be a dictionary, {name here: name in the notebook}", names)
    worth = [(f"points[{name!r}]", name, value) for name, value in given.items()]
    worth += [(f"the extra check {one.name}", one.function, one.points) for one in extras]
    for what, name, value in worth:
        near = closest(str(name), known)
        hint = f" ({near} is one)" if near else ""
        must(name in known, f"{what} must be about a function of {page}{hint}", name)
        numeric = type(value) in (int, float)
        must(numeric and math.isfinite(value) and value >= 0, f"{what} must be worth 0 points or more", value)
    for one in extras:
        must(one.name not in known, "an extra check must not be called like a function of the page", one.name)
    for ours, theirs in names.items():
        must(ours in known, f"names must be of functions of {page}", ours)
        must(isinstance(theirs, str) and theirs.isidentifier(), f"names[{ours!r}] must be a name", theirs)
    points = {name: given[name] for name in known if given.get(name)}
    must(bool(points or extras), "points must be given for something", given)
    return Checks(page, points, seed, rounds, float(timeout), dict(names), extras, digest)
