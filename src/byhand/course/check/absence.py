"""Functions that can't be called, and why: not there, still blank, not Python, or a definition that failed.

It is read off what the student's process told when it loaded the file (`inside`), before anything is tried;
`checking` asks here first.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from byhand.course.check.verdicts import Verdict
from byhand.course.probes import WANTED
from byhand.text import closest

UNKNOWN = re.compile(r"(?:name|cannot access local variable) '(\w+)'")  # as Python says it
At = Callable[[int, int], str]  # (cell, line) → the place in words


def absent(name: str, loaded: Mapping[str, Any], at: At) -> Verdict | None:
    """The verdict on a function that is not there, or is still a stub; None where it can be called."""
    described = loaded["functions"].get(name)
    if described and not described["stub"]:
        return None  # a copy of it that is broken or still blank doesn't matter
    for broken in loaded["broken"]:
        if name in broken["names"]:
            place = at(broken["cell"], broken["line"])
            if broken["stub"]:
                return Verdict(name, "missing", "not written yet", place=place)
            return Verdict(name, "wrong", f"this is not Python: {broken['message']}", place=place)
    if described:
        return Verdict(name, "missing", "not written yet", place=at(described["cell"], described["line"]))
    for failed in loaded["failed"]:
        if name in failed["defines"]:
            return _of_definition(name, failed, loaded, at)
    near = closest(name.lower(), [d.lower() for d in loaded["defined"]], cutoff=0.75)
    like = next((d for d in loaded["defined"] if near and d.lower() == near), None)
    meant = f"; is {like} meant?" if like and like not in WANTED else ""
    return Verdict(name, "missing", f"there is no function of this name{meant}")


def _of_definition(name: str, failed: Mapping[str, Any], loaded: Mapping[str, Any], at: At) -> Verdict:
    """What became of a function whose `def` raised: by its decorator, or the default of an argument."""
    place = at(failed["cell"], failed["line"]) if failed["line"] else ""
    if name in loaded["stubs"]:
        return Verdict(name, "missing", "not written yet", place=place)
    package = needed_package(failed["type"], failed["message"], loaded)
    if package:
        return Verdict(name, "not run", package, place=place)
    if failed["type"] == "TooSlowError":
        return Verdict(name, "wrong", "its definition took too long", place=place)
    return Verdict(name, "wrong", f"its definition failed: {failed['type']}: {failed['message']}", place=place)


def needed_package(error: str, message: str, loaded: Mapping[str, Any]) -> str:
    """Which package is needed, where a name is unknown because its import found none: not the student's mistake."""
    unknown = UNKNOWN.match(message) if error in ("NameError", "UnboundLocalError") else None
    lost = [one for one in loaded["failed"] if unknown and unknown[1] in one["names"]]
    return f"needs a package: {lost[0]['message']}" if lost and lost[0]["type"] == "ModuleNotFoundError" else ""


def finds_any(names: set[str], loaded: Mapping[str, Any]) -> bool:
    """Whether one of these functions is in the file, be it a blank or broken."""
    there = set(loaded["functions"])
    there = there.union(*(one["names"] for one in loaded["broken"]), *(one["defines"] for one in loaded["failed"]))
    return not names.isdisjoint(there)
