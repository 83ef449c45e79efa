"""The pictures in the lessons, drawn as SVG by a few lines of our own: small, sharp, and reviewable as text.

A lesson says `![words](drawing:forward)` or `![words](shapes:W[n,m] · X[m,k] = Z[n,k])`; `picture` draws either. The
words stay with the picture as its alternative text, for whoever can't see it.
"""

from byhand.course.notebooks.drawings.algorithms import backward, circle, forward
from byhand.course.notebooks.drawings.curves import activations, bends, descent, loss, momentum, one_hot, softmax
from byhand.course.notebooks.drawings.shapes import shapes
from byhand.errors import DataError

DRAWINGS = {
    draw.__name__: draw
    for draw in (activations, backward, bends, circle, descent, forward, loss, momentum, one_hot, softmax)
}


def picture(kind: str, what: str) -> str:
    """The SVG of `drawing:what` or `shapes:what`."""
    if kind == "shapes":
        return shapes(what)
    if what not in DRAWINGS:
        raise DataError(f"drawing must be one of {', '.join(DRAWINGS)}, got {what}")
    return DRAWINGS[what]()
