"""The reference pages: the two networks of the texts, as plain functions with the names of the texts.

A page is for reading, the oracle in the tests of `byhand.nn`, and the answer key of the course.
Everything is float64 with one sample a column. `l_layer` is the network of any depth, `two_layer` the 784-10-10 one,
and `beyond` adds mini-batches and momentum. `rules` checks the arguments and holds the error messages.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def show(draw: Callable[[Any], object], picture: str | Path | None) -> None:
    """Show a picture on the screen, or write it to the file `picture`; `draw` is called with Matplotlib's axes.

    Where Matplotlib is not installed nothing is drawn. The backend "agg" has no screen, and would warn.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots()
    draw(axes)
    if picture is not None:
        figure.savefig(picture)
        plt.close(figure)
    elif plt.get_backend().lower() != "agg":
        plt.show()
