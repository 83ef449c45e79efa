"""The two pictures that the reference programs draw, on the screen or into a file.

Matplotlib is imported only here, when a picture is drawn; where it is not installed nothing is drawn.
"""

from pathlib import Path
from typing import Any

import numpy as np


def draw_loss(losses: list[float], learning_rate: float, picture: str | Path | None) -> None:
    """The losses of every hundredth iteration, against the iteration."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots()
    axes.plot(range(0, 100 * len(losses), 100), losses)
    axes.set(xlabel="iteration", ylabel="loss", title=f"Learning rate = {learning_rate}")
    _show(figure, picture)


def draw_picture(X: Any, title: str, picture: str | Path | None) -> None:
    """One column of pixels as the square that it was."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    side = round(np.size(X) ** 0.5)
    figure, axes = plt.subplots()
    axes.imshow(np.reshape(X, (side, side)), cmap="gray", interpolation="nearest")
    axes.set_title(title)
    _show(figure, picture)


def _show(figure: Any, picture: str | Path | None) -> None:
    """Into the file, or on the screen if there is one: the backend "agg" has none, and would warn."""
    import matplotlib.pyplot as plt

    if picture is not None:
        figure.savefig(picture)
        plt.close(figure)
    elif plt.get_backend().lower() != "agg":
        plt.show()
