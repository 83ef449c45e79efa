"""Lazy imports: a package whose names are loaded when they are first used, so that importing it costs nothing."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package, by a table of each name's module.

    Use: `__getattr__, __dir__ = lazy_names(__name__, {"fit": "byhand.training"})`
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - it becomes the package's own
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    def __dir__() -> list[str]:  # noqa: N807
        return [*vars(importlib.import_module(package)), *modules]

    return __getattr__, __dir__
