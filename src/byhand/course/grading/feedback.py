"""The page that a student gets back: points by function, what is wrong and likely why.

One HTML file that needs nothing else. All that comes from the submission goes through `escape`; nothing of it is run.
"""

from byhand.course.grading.mark import Item, Mark
from byhand.course.grading.table import number, points_of
from byhand.page.document import document, escape

SIGNS = {"right": "✓", "wrong": "✗", "missing": "·", "not run": "?"}
SAID = {"right": "right", "wrong": "wrong", "missing": "not written yet", "not run": "not run"}
STYLE = """
.total { font-size: 2.4rem; font-weight: 750; letter-spacing: -.02em; }
.items { list-style: none; padding: 0; margin: 0; }
.items li { display: grid; grid-template-columns: 1.6rem 1fr auto; gap: .1rem .5rem; padding: .7rem 0;
  border-top: 1px solid var(--line); }
.items li:first-child { border-top: 0; }
.items code { font-weight: 650; overflow-wrap: anywhere; }
.items .points { font-variant-numeric: tabular-nums; white-space: nowrap; }
.items p { grid-column: 2 / -1; margin: 0; overflow-wrap: anywhere; }
.items .about { color: var(--soft); font-size: .9rem; }
.right .sign { color: var(--good); } .wrong .sign { color: var(--bad); }
.sign { font-weight: 700; }
"""
HOW = (
    "Your functions were called with numbers that nobody could know beforehand; the same file always gets the same "
    "numbers. What they returned was compared with the right values. How a function is written does not matter. "
    "A mistake counts once: where an earlier function was wrong, the later ones were also tried with the right one in "
    "its place."
)


def feedback(mark: Mark) -> str:
    """The whole page."""
    functions = [item for item in mark.items if not item.extra]
    extras = [item for item in mark.items if item.extra]
    total = f"{points_of(mark)} points" if mark.is_marked else points_of(mark)
    if mark.is_marked:
        cards = _card("Function by function", functions)
        cards += _card("Further checks", extras) if extras else ""
        notes = "".join(f"<li>{escape(note)}</li>" for note in mark.notes)
        cards += f'<section class="card"><h2>Notes</h2><ul>{notes}</ul></section>' if notes else ""
        cards += f'<section class="card"><h2>How this was marked</h2><p>{HOW}</p></section>'
    else:
        cards = (
            f'<section class="card"><h2>This submission could not be marked</h2><p>{escape(mark.why)}</p>'
            "<p>Ask your teacher whether it may be handed in again.</p></section>"
        )
    return document(
        f"{mark.student}: {total}",
        f'<header class="top"><h1><bdi>{escape(mark.student)}</bdi></h1><p><bdi>{escape(mark.file)}</bdi></p>'
        f'<p class="total">{total}</p></header><main>{cards}</main>',
        style=STYLE,
    )


def _card(title: str, items: list[Item]) -> str:
    points, of = sum(item.points for item in items), sum(item.of for item in items)
    rows = "".join(map(_row, items))
    heading = f"<h2>{title}, {number(points)} of {number(of)}</h2>"
    return f'<section class="card">{heading}<ul class="items">{rows}</ul></section>'


def _row(item: Item) -> str:
    words = "".join(f"<p>{escape(line)}</p>" for line in item.words if line != SAID[item.status])
    place = f" ({escape(item.place)})" if item.place else ""
    return (
        f'<li class="{item.status.replace(" ", "-")}"><span class="sign" aria-hidden="true">{SIGNS[item.status]}</span>'
        f"<span><code>{escape(item.name)}</code> {SAID[item.status]}{place}</span>"
        f'<span class="points">{number(item.points)} of {number(item.of)}</span>'
        f'<p class="about">{escape(item.about)}</p>{words}</li>'
    )
