"""The two algorithms and the circle of training as pictures: what flows where, and what is kept on the way."""

from byhand.course.notebooks.drawings.pieces import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_ORANGE,
    SOFT,
    box,
    card,
    formula,
    line,
    path,
    words,
)


def forward() -> str:
    """Left to right: H0, layers 1 to L−1 in a loop, the last layer, the loss; below each layer its memory."""
    pieces = [
        formula(60, 78, "H0 = X", 15),
        words(60, 24, "step 1", 11, SOFT),
        line([(96, 73), (132, 73)], INK, head="ink"),
        box(120 + 14, 36, 276, 74, "#f8fafc", SOFT, 6),
        words(272, 24, "step 2, for l = 1 … L−1", 11, SOFT),
        box(146, 50, 122, 46, PALE_BLUE),
        formula(207, 71, "Zl = Wl · Hl−1 + bl", 12.5),
        words(207, 88, "2.1", 10, SOFT),
        line([(268, 73), (292, 73)], INK, head="ink"),
        box(294, 50, 104, 46, PALE_BLUE),
        formula(346, 71, "Hl = relu( Zl )", 12.5),
        words(346, 88, "2.2", 10, SOFT),
        line([(410, 73), (446, 73)], INK, head="ink"),
        words(552, 24, "step 3, layer L", 11, SOFT),
        box(448, 50, 208, 46, PALE_BLUE),
        formula(552, 78, "HL = softmax( WL · HL−1 + bL )", 12.5),
        line([(656, 73), (688, 73)], INK, head="ink"),
        box(690, 50, 62, 46, PALE_ORANGE, ORANGE),
        words(721, 78, "loss", 13),
    ]
    for x, text in ((272, "( Hl−1 , Wl , bl ) , Zl"), (552, "( HL−1 , WL , bL ) , ZL")):
        pieces += [
            path(f"M{x} 110 V132" if x == 272 else f"M{x} 96 V132", GREEN, dashed=True),
            box(x - 92, 134, 184, 30, PALE_GREEN, GREEN),
            formula(x, 154, text, 12.5),
        ]
    pieces.append(words(412, 188, "the memories, kept for the way back", 11, SOFT))
    return card(768, 200, pieces)


def backward() -> str:
    """Right to left: from HL − Y through the last layer, then the loop down to layer 1."""
    pieces = [
        box(676, 50, 80, 46, PALE_ORANGE, ORANGE),
        words(716, 71, "loss", 13),
        formula(716, 88, "HL , Y", 11, SOFT),
        line([(676, 73), (650, 73)], ORANGE, head="orange"),
        words(556, 24, "steps 1 to 4, layer L", 11, SOFT),
        box(464, 40, 184, 66, PALE_ORANGE, ORANGE),
        formula(556, 61, "dZL = HL − Y", 12.5),
        formula(556, 80, "dWL = 1/m · dZL · HL−1ᵀ", 12.5),
        formula(556, 99, "dbL = 1/m · Σ dZL", 12.5),
        line([(464, 73), (406, 73)], ORANGE, head="orange"),
        formula(436, 66, "dHL−1", 11.5, ORANGE),
        formula(436, 92, "= WLᵀ · dZL", 9.5, SOFT),
        words(268, 24, "step 5, for l = L−1 … 1", 11, SOFT),
        box(132, 34, 272, 78, "#f8fafc", SOFT, 6),
        box(270, 44, 126, 58, PALE_ORANGE, ORANGE),
        formula(333, 68, "dZl = dHl ⊗ relu′", 12.5),
        words(333, 90, "5.1", 10, SOFT),
        line([(270, 73), (258, 73)], ORANGE, head="orange"),
        box(140, 44, 116, 58, PALE_ORANGE, ORANGE),
        formula(198, 62, "dWl , dbl", 12.5),
        formula(198, 80, "dHl−1 = Wlᵀ · dZl", 11),
        words(198, 96, "5.2 to 5.4", 10, SOFT),
        line([(132, 73), (92, 73)], ORANGE, head="orange"),
        formula(60, 78, "dH0", 15),
    ]
    for x, text in ((268, "( Hl−1 , Wl , bl ) , Zl"), (556, "( HL−1 , WL , bL ) , ZL")):
        pieces += [
            box(x - 92, 134, 184, 30, PALE_GREEN, GREEN),
            formula(x, 154, text, 12.5),
            line([(x, 134), (x, 113 if x == 268 else 107)], GREEN),
        ]
    pieces.append(words(412, 188, "each layer takes its own memory from the way forward", 11, SOFT))
    return card(768, 200, pieces)


def circle() -> str:
    """Forward, loss, backward, update, and round again."""
    places = ((16, 20, "L_layer_forward"), (226, 20, "compute_loss"), (226, 104, "L_layer_backward"))
    pieces = [box(x, y, 170, 40, PALE_BLUE) + words(x + 85, y + 25, name, 13) for x, y, name in places]
    pieces += [
        box(16, 104, 170, 40, PALE_ORANGE, ORANGE),
        words(101, 129, "update_parameters", 13),
        line([(186, 40), (224, 40)], INK, head="ink"),
        line([(311, 60), (311, 102)], INK, head="ink"),
        line([(226, 124), (188, 124)], INK, head="ink"),
        line([(101, 104), (101, 62)], INK, head="ink"),
        words(206, 87, "num_iterations times", 12, BLUE),
    ]
    return card(412, 164, pieces)
