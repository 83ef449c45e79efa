"""Names that were replaced by the field's terms are not used again.

Definitions, arguments, attributes, constants, fields, keywords and modules count; local variables and strings do not.
"""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Room → names that were replaced in it; `f()` only as a function. In another room a name may have its usual meaning.
REPLACED = {
    "nn": "together SEEN_TOGETHER TOGETHER seen LARGEST MOST_SEEN weighted outline everyday_layers refilled Pair "
    "remembers Moment noise keep_mask decayed memory fold average gentle but settled",
    "training": "together decayed average gentle but settled look looked_at LOOKED_AT Floats feed ahead hand_over "
    "forget_epoch Swapped SOMETIMES circumstances made GUESSED_PACE says told recall GROWN NEAR MOSTLY_DEAD",
    "model": "outline weighted Shifted answers share_right card described",
    "data": "must_recognise places packed Held shown bring_in Stamp TICK Digits stretched paper without_specks",
    "cli": "Talk say() talk",
    "explain": "way Way worked Stage blame Named",
    "sklearn": "meaning answers Settling",
    "report": "Duel coin_toss LUCK",
    "play": "guard gate bodies journal keeping",
    "course": "doors Room Paper stand_ins extras prove attempt otherwise known leans_on",
    "distributed": "together",
    "benchmarks": "Other race epochs() together",
}
#: Room → modules that were renamed.
MODULES = {
    "nn": "noise",
    "training": "feed",
    "data": "picture pictures",
    "cli": "choices origin common front",
    "explain": "way step steps names",
    "report": "words",
    "play": "guard gate bodies journal keeping",
    "course": "doors stand_ins extras",
}
#: (room, name) → why it stays: aliases that warn, for one release, and names that other programs prescribe.
ALIASES = {
    ("model", "card"): "Model.card and Model(card=) are aliases of metadata",
    ("training", "but"): "Recipe.but is an alias of replace",
    ("training", "average"): "the running average itself, in ema",
}


@functools.cache
def names_in(path):
    return [*names(ast.parse(path.read_text("utf-8")))]


def names(tree):
    """Yield (name, line) of everything that the file defines, or that it uses as an attribute or a keyword."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
            yield f"{node.name}()", node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.Assign | ast.AnnAssign):
                    stored = (one for one in ast.walk(statement) if isinstance(one, ast.Name))
                    yield from ((one.id, one.lineno) for one in stored if isinstance(one.ctx, ast.Store))


def files_of(room):
    place = ROOT / room if room == "benchmarks" else ROOT / "src" / "byhand" / room
    return [place.with_suffix(".py")] if not place.is_dir() else sorted(place.rglob("*.py"))


def old_names(room):
    """Return a line for each use of an old name in a room."""
    replaced, modules = set(REPLACED[room].split()), set(MODULES.get(room, "").split())
    found = []
    for path in files_of(room):
        if "lessons" in path.parts:
            continue
        if path.stem in modules or path.parent.name in modules:
            found.append(f"{path.relative_to(ROOT)}: the module's name")
        found += [
            f"{path.relative_to(ROOT)}:{line}: {name}"
            for name, line in names_in(path)
            if name in replaced and (room, name) not in ALIASES
        ]
    return found


@pytest.mark.parametrize("room", REPLACED)
def test_old_names_are_gone(room):
    found = old_names(room)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("def together(): pass", True),
        ("def f(together): pass", True),
        ("x.together = 1", True),
        ("f(together=1)", True),
        ("together: int = 1", True),
        ("class together: pass", True),
        ("class C:\n    together: int = 1", True),
        ("x, together = 1, 2", True),
        ("def f():\n    together = 1", False),
        ('x = {"together": 1}', False),
        ("# together", False),
    ],
)
def test_planted_old_names_are_found(line, is_found):
    assert ("together" in {name for name, _ in names(ast.parse(line))}) == is_found


def test_every_alias_is_still_used():
    used = {
        (room, name)
        for room, name in ALIASES
        for path in files_of(room)
        if name in {name for name, _ in names_in(path)}
    }
    assert used == set(ALIASES)
