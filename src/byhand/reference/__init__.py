"""Reference implementations: the two networks of the assignment as plain functions, to read beside the formulas.

They are also the expected values in the tests of `byhand.nn` and in the course. Everything is float64, with one sample
a column. `l_layer` is the network of any depth, `two_layer` the 784-10-10 network. `beyond` adds mini-batches and
momentum to the first. `rules` checks the arguments.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def show(draw: Callable[[Any], object], picture: str | Path | None) -> None:
    """Show a plot on the screen, or write it to the file `picture`; `draw` is called with Matplotlib's axes.

    Do nothing without Matplotlib, or without a file if the backend is "agg", which has no screen.
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
