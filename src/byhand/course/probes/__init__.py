"""The probes of the two reference pages: for each function of a page the calls to make, and what each mistake gives.

`PAGES` holds both, `WANTED` the names of all their functions, and `page_of` says which one a file follows; `forward`
and `backward` have the functions of the L-layer page, `two_layer` the other page.
"""

import re
from collections.abc import Sequence

from byhand.course.probes.l_layer import L_LAYER
from byhand.course.probes.probing import Page
from byhand.course.probes.two_layer import TWO_LAYER

PAGES: dict[str, Page] = {page.name: page for page in (L_LAYER, TWO_LAYER)}
WANTED = sorted({function.name for page in PAGES.values() for function in page.functions})

__all__ = ["PAGES", "WANTED", "page_of", "pages_of"]


def page_of(cells: Sequence[str]) -> str:
    """The page more of whose names are defined; the L-layer page for a file that defines none."""
    return pages_of(cells)[0]


def pages_of(cells: Sequence[str]) -> list[str]:
    """The page more of whose names are defined, or both where it is as many; the L-layer page where it is none."""
    text = "\n".join(cells)
    found = {
        name: sum(bool(re.search(rf"^\s*(def {f.name}\b|{f.name}\s*=)", text, re.MULTILINE)) for f in page.functions)
        for name, page in PAGES.items()
    }
    most = max(found.values())
    return [name for name in found if found[name] == most][: None if most else 1]
