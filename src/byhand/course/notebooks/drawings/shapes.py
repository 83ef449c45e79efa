"""Shapes of arrays as boxes, in a row: `W[n,n_prev] · H_prev[n_prev,m] + b[n,1] = Z[n,m]`.

The same letter has the same length everywhere, as a row's or a column's, so that what must fit is seen to fit.
"""

import re

from byhand.course.notebooks.drawings.pieces import PALE_BLUE, SOFT, box, card, formula

LENGTHS = {
    "m": 84, "n": 46, "n_prev": 66, "K": 40, "10": 40, "784": 96, "45": 58, "n_0": 96, "n_1": 62, "n_2": 50,
    "1": 15, "size": 40, "rest": 20,
}  # fmt: skip
MATRIX = re.compile(r"(?P<name>\S+?)\[(?P<rows>[\w]+),(?P<columns>[\w]+)\]")
GAP, MARGIN, LETTER = 14.0, 16.0, 8.5


def shapes(spec: str) -> str:
    """The picture of one line of arrays with signs between them."""
    tokens = spec.split()
    matrices = [found for token in tokens if (found := MATRIX.fullmatch(token))]
    tallest = max(LENGTHS[found["rows"]] for found in matrices)
    middle = MARGIN + 18 + tallest / 2
    pieces, x = [], MARGIN
    for token in tokens:
        found = MATRIX.fullmatch(token)
        if not found:
            pieces.append(formula(x + LETTER * len(token) / 2, middle + 5, token, 16))
            x += LETTER * len(token) + GAP
            continue
        height, width = LENGTHS[found["rows"]], LENGTHS[found["columns"]]
        name = found["name"].replace("log-", "log ").replace("1-H", "1 − H").replace("Z>0", "[Z &gt; 0]")
        rows, wide = found["rows"], LETTER * len(re.sub(r"&gt;", ">", name))
        x += 5.5 * len(rows.replace("_", "")) + 6
        slot = max(width, min(wide, 78))
        left = x + (slot - width) / 2
        inside = wide <= width and height >= 26
        pieces += [
            box(left, middle - height / 2, width, height, PALE_BLUE),
            formula(left - 4, middle + 4, rows, 11, SOFT, "end"),
            formula(left + width / 2, middle - height / 2 - 5, found["columns"], 11, SOFT),
            formula(left + width / 2, middle + 5 if inside else middle + height / 2 + 17, name, 14),
        ]
        x += slot + GAP
    return card(x - GAP + MARGIN, middle + tallest / 2 + 18 + MARGIN / 2, pieces)
