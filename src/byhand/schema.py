"""Untrusted JSON and TOML: parsing within limits, and schemas for its values.

    config = json_value(text)                       JSON, with limits for its depth and its number of values
    config = checked(RunConfig, config)             a TypedDict: the same dictionary, with checked keys and types
    recipe = checked(Recipe, {"epochs": 3})         a dataclass: an object with these fields
    loss = of_kind("loss", LOSSES, {"kind": "mse"})

A schema is a type hint. `UsageError` names the path of the key: `recipe.epochs must be an integer, got 'x'`. The reader
of a file adds the name of the file.
"""

import contextlib
import dataclasses
import functools
import inspect
import json
import re
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from byhand import checks
from byhand.errors import UsageError, short_repr
from byhand.text import did_you_mean, printable

T = TypeVar("T")

#: Limits against malicious files. A value of JSON takes at most a hundred bytes of memory.
MAX_JSON_DEPTH = 20
MAX_JSON_VALUES = 4_000_000
MAX_TOML_BYTES = 100_000

#: A string, also one that is not closed, or a bracket. A possessive quantifier never goes back, so a search takes
#: linear time.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
SURROGATE = re.compile(r"\\u[dD][89abAB]")

#: A seed or another number that NumPy takes as 64 bits.
Natural = Annotated[int, (0, 2**63 - 1)]


def json_value(
    content: str | bytes, rule: str = "must be JSON", most_depth: int = MAX_JSON_DEPTH, *, is_strict: bool = False
) -> Any:
    """Return the value of JSON, or raise UsageError with the rule that the text violates.

    is_strict: reject NaN and Infinity, which Python writes but which are not JSON
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        raise UsageError(f"must be UTF-8 text, byte {error.start:,} is not") from None
    if sum(map(text.count, ",[{")) > MAX_JSON_VALUES:
        raise UsageError(f"JSON must have at most {MAX_JSON_VALUES:,} values")
    depth = 0
    for found in TOKEN.finditer(text):
        first = text[found.start()]
        depth += (first in "[{") - (first in "]}")
        if depth > most_depth:
            raise UsageError(f"JSON must be nested at most {most_depth} deep")
    try:
        value = json.loads(text, parse_constant=_reject if is_strict else None)
        if SURROGATE.search(text):  # half of a pair is no character: it becomes a question mark
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except ValueError:
        raise UsageError(f"{rule}, got {text[:40]!r}") from None
    return value


def toml_value(content: bytes) -> dict[str, Any]:
    """Return the table of a TOML file, or raise UsageError with the rule that the text violates."""
    if len(content) > MAX_TOML_BYTES:
        raise UsageError(f"must have at most {MAX_TOML_BYTES:,} bytes, got {len(content):,}")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"must be valid TOML: {printable(error)}") from None


def _reject(constant: str) -> float:
    raise ValueError(constant)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """Add the name of a key, such as `recipe` or `network[2]`, to the path in an error's message."""
    try:
        yield
    except UsageError as error:
        text = str(error)
        joint = "." if re.match(r"\w+[.\[]|\w+ (must|is) ", text) else ": "
        raise UsageError(f"{name}{joint}{text}") from None


def checked(kind: Any, value: Any, name: str = "") -> Any:
    """Return a plain value as the type of a hint, or raise UsageError; `name` is its key in the object around it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        found = value
    elif origin is NotRequired:
        found = checked(arguments[0], value, name)
    elif origin is Annotated:
        check: Any = checks.integer if arguments[0] is int else checks.number
        found = check(name, value, *arguments[1])
    elif origin is Literal:
        found = checks.choice(name, value, arguments)
    elif origin in (Union, types.UnionType):
        found = _one_of(arguments, value, name)
    elif kind in PLAIN:
        is_valid, rule = PLAIN[kind]
        if not is_valid(value):
            raise UsageError(f"{name} must be {rule}, got {short_repr(value)}")
        found = value
    elif origin in (list, tuple):
        if not isinstance(value, list | tuple):
            raise UsageError(f"{name} must be a list, got {short_repr(value)}")
        found = origin(checked(arguments[0], one, f"{name}[{place}]") for place, one in enumerate(value))
    else:
        found = _object(kind, value, name)
    return found


def of_kind(name: str, kinds: Mapping[str, type[T]], config: Any, elsewhere: Mapping[str, str] | None = None) -> T:
    """Return an object of one of several classes: `kind` is the name of its class, the rest are its arguments.

    elsewhere: names in other libraries, and those here
    """
    settings = checked(dict[str, Any], config, name)
    kind = checks.choice(name, settings.pop("kind", None), kinds, elsewhere)
    known = inspect.signature(kinds[kind]).parameters
    if unknown := [setting for setting in settings if setting not in known]:
        got = printable(", ".join(unknown))
        raise UsageError(f"settings of {kind} must be among {', '.join(known) or '(none)'}, got {got}")
    if missing := [one.name for one in known.values() if one.default is one.empty and one.name not in settings]:
        raise UsageError(f"{missing[0]} of {kind} must be given")
    return made(kinds[kind], settings)


def _one_of(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not types.NoneType)
    for kind in kinds[:-1]:
        with contextlib.suppress(UsageError):
            return checked(kind, value, name)
    return checked(kinds[-1], value, name)


def _object(kind: Any, value: Any, name: str) -> Any:
    """Return a dictionary, a TypedDict, or an object of a dataclass."""
    if isinstance(kind, type) and not is_typeddict(kind) and isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} must be an object or table, got {short_repr(value)}")
    if get_origin(kind) is dict:
        hint = get_args(kind)[1]
        return {key: checked(hint, one, f"{name}.{printable(key, 60)}") for key, one in value.items()}
    with inside(name) if name else contextlib.nullcontext():
        return _filled(kind, value)


def _filled(kind: Any, value: Mapping[str, Any]) -> Any:
    """Return a TypedDict or an object of a dataclass with these keys and values."""
    hints, required = fields_of(kind)
    for key in value:
        if key not in hints:
            hint = did_you_mean(str(key), hints) or f": the keys are {', '.join(hints)}"
            raise UsageError(f"{printable(key, 60)} is not a key{hint}")
    for key in required:
        if key not in value:
            raise UsageError(f"{key} must be given")
    if hasattr(kind, "__post_init__"):  # it checks its own values, with rules that a hint does not have
        return made(kind, value)
    found = {key: checked(hints[key], one, key) for key, one in value.items()}
    return found if is_typeddict(kind) else kind(**found)


def made(kind: Callable[..., T], arguments: Mapping[str, Any]) -> T:
    """Return an object of a class that checks its arguments."""
    try:
        return kind(**arguments)
    except TypeError as error:
        raise UsageError(f"the values must have the right types: {printable(error)}") from None


@functools.lru_cache(maxsize=100)
def fields_of(kind: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the hints of the keys of a TypedDict or dataclass, and the names of those without a default."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        return hints, tuple(key for key in hints if key in kind.__required_keys__)
    known = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    required = tuple(one.name for one in known if one.default is missing and one.default_factory is missing)
    return {one.name: hints[one.name] for one in known}, required


PLAIN: dict[Any, tuple[Any, str]] = {
    int: (checks.is_integer, "an integer"),
    float: (checks.is_number, "a finite number"),
    bool: (lambda value: isinstance(value, bool), "True or False"),
    str: (lambda value: isinstance(value, str), "text"),
    list: (lambda value: isinstance(value, list), "a list"),
    dict: (lambda value: isinstance(value, dict), "an object"),
}
