"""Something to draw on that draws nothing: pictures are not checked, and Matplotlib may not be installed.

`put_up` makes `import matplotlib.pyplot as plt` find a `Canvas`, which takes any call and any assignment, falls into as
many parts as it is taken apart into, and counts as a number wherever sizes are computed from it.
"""

import importlib.abc
import importlib.machinery
import opcode
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

PACKAGES = ("matplotlib", "mpl_toolkits", "seaborn", "plotly", "IPython")
TAKE_APART = opcode.opmap["UNPACK_SEQUENCE"]


class Canvas:
    """Every attribute, entry, part and result of it is a canvas again."""

    __array_ufunc__ = None  # NumPy's numbers leave arithmetic with a canvas to the canvas

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
        """As many as `a, b, c = canvas` asks for: `plot` gives one or more, `hist` three. Two to a loop."""
        frame = sys._getframe(1)
        here = frame.f_code.co_code[frame.f_lasti : frame.f_lasti + 2]
        return iter([Canvas() for _ in range(here[1] if here[0] == TAKE_APART else 2)])

    def __float__(self) -> float:
        return 0.0

    def __format__(self, _how: str) -> str:
        return ""

    def __lt__(self, _other: Any) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = __call__

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class CanvasModule(types.ModuleType):
    """A module of canvases; its `subplots` gives arrays of them, which have a shape."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return []
        if name.startswith("__"):
            raise AttributeError(name)
        return _subplots if name == "subplots" else Canvas()


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
        """There is nothing in it to run; `from matplotlib import pyplot` finds the module, not a canvas."""
        if module.__name__ == "matplotlib":
            module.__dict__["pyplot"] = importlib.import_module("matplotlib.pyplot")


def put_up() -> None:
    """From here on, drawing packages are canvases."""
    sys.meta_path.insert(0, _Finder())
