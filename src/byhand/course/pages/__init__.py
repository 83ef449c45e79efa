"""The probes of the two reference pages: for each function of a page the calls to make, and what each mistake gives.

`PAGES` holds both, `WANTED` the names of all their functions; `forward` and `backward` have the functions of the
L-layer page, `two_layer` the other page.
"""

from byhand.course.pages.l_layer import L_LAYER
from byhand.course.pages.two_layer import TWO_LAYER
from byhand.course.probing import Page

PAGES: dict[str, Page] = {page.name: page for page in (L_LAYER, TWO_LAYER)}
WANTED = sorted({function.name for page in PAGES.values() for function in page.functions})

__all__ = ["PAGES", "WANTED"]
