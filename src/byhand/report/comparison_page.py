"""The comparison as one HTML page: a table, the curves over one another, and the pictures that only one run reads."""

from byhand.page.charts import Axis, Series, around, chart
from byhand.page.document import asset, document, escape, folded, table
from byhand.report.comparison import Comparison, Contestant, Duel
from byhand.report.sprites import Sprites, packed
from byhand.training.records import EpochRecord

LOOKS = ("one", "two", "three", "four", "five", "six")
#: Pictures shown of what only one of two runs reads right.
SHOWN = 18


def comparison_report(comparison: Comparison) -> str:
    """The page."""
    evaluation = comparison.best.evaluation
    shown = [index for duel in comparison.duels for index in [*duel.only_best[:SHOWN], *duel.only_other[:SHOWN]]]
    sheet = packed(evaluation.data.images, list(dict.fromkeys(shown)))
    names = [one.name for one in comparison.contestants]
    figures = table(["", *names], [[what, *values] for what, values in comparison.figures()])
    duels = "".join(duel_section(duel, sheet) for duel in comparison.duels)
    return document(
        f"{len(names)} runs on {evaluation.data.name}",
        f"<header><h1>{len(names)} runs side by side</h1><p class=soft>On the same {len(evaluation):,} pictures of "
        f"{escape(evaluation.data.name)}. Best: <b>{escape(comparison.best.name)}</b>.</p></header><main>"
        f'<section class="card"><h2>Figures</h2><p>Settings are shown where they differ.</p>{figures}</section>'
        f"{curves(comparison)}{duels}</main>",
        style=asset("report.css", "byhand.report") + sheet.style(),
    )


def curves(comparison: Comparison) -> str:
    """Loss and accuracy of all runs: of the validation split where there was one, of the training data elsewhere."""
    recorded = [one for one in comparison.contestants if one.records]
    if not recorded:
        return ""
    last = max(one.records[-1].epoch for one in recorded)
    x = Axis("epoch", 0.7, last + 0.3, is_whole=True)
    plots, rows = [], []
    for title, scale in (("Loss", 1.0), ("Accuracy, %", 100.0)):
        series = []
        for place, one in enumerate(recorded):
            points = [(float(r.epoch), scale * watched(r, title)) for r in one.records]
            note = "" if one.records[0].validation_loss is not None else " (training)"
            look = LOOKS[place % len(LOOKS)]
            series.append(Series(f"{one.name}{note}", points, look, is_dotted=place >= len(LOOKS)))
        low, high = around([value for s in series for _, value in s.points], least=1e-3)
        plots.append(chart(title, x, Axis("", low, min(high, 100.0) if scale > 1 else high), series))
    for one in recorded:
        rows += [
            (one.name, r.epoch, f"{watched(r, 'Loss'):.4f}", f"{watched(r, '') * 100:.2f}") for r in one.records[-20:]
        ]
    twin = folded("the curves as a table", table(("run", "epoch", "loss", "accuracy, %"), rows))
    return (
        '<section class="card"><h2>How they learned</h2><p>On the pictures held out for validation, where there were '
        f'any.</p><div class="plots">{"".join(plots)}</div>{twin}</section>'
    )


def watched(record: EpochRecord, what: str) -> float:
    """The validation's loss or accuracy, or the training's where nothing was held out."""
    if what == "Loss":
        return record.loss if record.validation_loss is None else record.validation_loss
    return record.accuracy if record.validation_accuracy is None else record.validation_accuracy


def duel_section(duel: Duel, sheet: Sprites) -> str:
    """What only one of the two reads right, as pictures."""
    parts = []
    for one, indices in ((duel.best, duel.only_best), (duel.other, duel.only_other)):
        loser = duel.other if one is duel.best else duel.best
        items = "".join(item(index, loser, sheet) for index in indices[:SHOWN])
        some = f", {SHOWN} of them" if len(indices) > SHOWN else ""
        if indices:
            parts.append(f"<h3>Only {escape(one.name)} is right: {len(indices):,}{some}</h3><ul class=few>{items}</ul>")
    return (
        f'<section class="card"><h2>{escape(duel.best.name)} against {escape(duel.other.name)}</h2>'
        f"<p>{escape(duel.sentence)}</p>{''.join(parts)}</section>"
    )


def item(index: int, loser: Contestant, sheet: Sprites) -> str:
    """One picture, what it is, and what the run that is wrong took it for."""
    e = loser.evaluation
    label, taken = escape(e.classes[e.labels[index]]), escape(e.classes[e.predictions[index]])
    tile = sheet.tile(index, f"picture {index}: is {label}, {loser.name} reads {taken}")
    words = f'is <b>{label}</b><br>not <b class="bad">{taken}</b><br><span class="soft">#{index}</span>'
    return f"<li>{tile}<p>{words}</p></li>"
