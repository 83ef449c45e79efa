"""Module attributes that are resolved on first use: lazy imports and deprecated names."""

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str], elsewhere: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package, from a table: name → module that defines it.

    elsewhere: names in other libraries, and what to type here
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - the package's own
        if name not in modules:
            from byhand.errors import did_you_mean

            hint = "" if name.startswith("_") else did_you_mean(name, modules, elsewhere)
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        return getattr(importlib.import_module(modules[name]), name)

    def __dir__() -> list[str]:  # noqa: N807
        return [*vars(importlib.import_module(package)), *modules]

    return __getattr__, __dir__


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return `__getattr__` for a module whose old names still work, with a warning: old name → new name."""

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is deprecated, use {names[name]}", DeprecationWarning, stacklevel=2)
        return attrgetter(names[name])(sys.modules[module])

    return __getattr__
