"""Something to draw on that draws nothing: pictures are not checked, and Matplotlib may not be installed.

`put_up` makes `import matplotlib.pyplot as plt` find a `Canvas`, which takes any call and any assignment.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

PACKAGES = ("matplotlib", "mpl_toolkits", "seaborn", "plotly", "IPython")


class Canvas:
    """Every attribute, entry and result of it is a canvas again."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Canvas()

    def __call__(self, *_arguments: Any, **_keywords: Any) -> Any:
        return Canvas()

    def __getitem__(self, _key: Any) -> Any:
        return Canvas()

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter((Canvas(), Canvas()))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class CanvasModule(types.ModuleType):
    """A module of canvases; the two calls whose results are taken apart have the right number of parts."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return []
        if name.startswith("__"):
            raise AttributeError(name)
        return {"subplots": _subplots, "plot": lambda *_, **__: [Canvas()]}.get(name, Canvas())


def _subplots(nrows: int = 1, ncols: int = 1, **_: Any) -> tuple[Any, Any]:
    """(figure, axes): one, a row, a column or a grid of them, as Matplotlib gives."""
    axes = np.empty((nrows, ncols), dtype=object)
    for where in np.ndindex(nrows, ncols):
        axes[where] = Canvas()
    return Canvas(), axes[0, 0] if axes.size == 1 else axes.squeeze()


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the drawing packages, and all that is said to be in them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".", 1)[0] in PACKAGES:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return CanvasModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing in it to run."""


def put_up() -> None:
    """From here on, drawing packages are canvases."""
    sys.meta_path.insert(0, _Finder())
