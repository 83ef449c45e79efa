"""Comparison: runs side by side on the same pictures, and whether a difference is more than luck.

    comparison = compare_runs(["runs/001", "runs/002"], digits.test)
    print(comparison.text())                    `.html()` is a page, with the pictures that only one run reads right

Two models are compared by the pictures that only one of them reads right: if both were equally good, each of those
would be a coin toss (McNemar's test, computed exactly).
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Reader
from byhand.page.document import document, escape, folded, source, table
from byhand.report.evaluation import Evaluation, evaluate
from byhand.report.images import Sprites, sprite_sheet
from byhand.report.page import Curve, curve_plots, curve_points, flat_settings
from byhand.text import html_percent
from byhand.training.records import EpochRecord
from byhand.training.runs import Run, load_reader

#: Entries of a run's configuration that are no settings.
NO_SETTINGS = ("command", "made_with", "data_checksum", "card")
#: The significance level: below this p-value a difference is called more than luck.
ALPHA = 0.05
#: The style of each run's curve; after these, the same ones dotted.
LOOKS = ("one", "two", "three", "four", "five", "six")
#: Pictures shown of those that only one of two runs reads right, and epochs in the table of the curves.
SHOWN, ROWS = 18, 20


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """One run: its name, its model, the evaluation of that, and what was recorded and configured."""

    name: str
    model: Reader
    evaluation: Evaluation
    records: Sequence[EpochRecord] = ()
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class PairwiseTest:
    """McNemar's test of the best run against another, on the pictures that only one of the two reads right."""

    best: ComparedRun
    other: ComparedRun
    only_best: list[int]
    only_other: list[int]

    @property
    def p_value(self) -> float:
        """How often two equally good models would differ at least as much."""
        return mcnemar_p(len(self.only_best), len(self.only_other))

    @property
    def sentence(self) -> str:
        """The result in words."""
        best, other = len(self.only_best), len(self.only_other)
        if best + other == 0:
            return f"{self.best.name} and {self.other.name} are right about the same pictures."
        verdict = "more than luck" if self.p_value < ALPHA else "it may be luck"
        return (
            f"{self.best.name} alone reads {best:,} right, {self.other.name} alone {other:,}: "
            f"{verdict} (p = {self.p_value:.2g})."
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs in the order given; `best` is the one with the highest accuracy."""

    runs: tuple[ComparedRun, ...]

    @property
    def best(self) -> ComparedRun:
        return max(self.runs, key=lambda one: one.evaluation.correct)

    @property
    def tests(self) -> list[PairwiseTest]:
        """The best against every other."""
        best, right = self.best, self.best.evaluation.right
        return [
            PairwiseTest(best, one, *(np.flatnonzero(only).tolist() for only in (right > other, other > right)))
            for one in self.runs
            for other in [one.evaluation.right]
            if one is not best
        ]

    def figures(self) -> list[tuple[str, list[str]]]:
        """Return (name, one value for each run): first the results, then the settings in which the runs differ."""
        evaluations, models = [one.evaluation for one in self.runs], [one.model for one in self.runs]
        last = [one.records[-1] if one.records else None for one in self.runs]
        return [
            ("accuracy", [html_percent(e.accuracy) for e in evaluations]),
            ("95 % interval", [" to ".join(map(html_percent, e.interval)) for e in evaluations]),
            ("mistakes", [f"{len(e.mistakes):,}" for e in evaluations]),
            ("loss", [f"{e.loss:.4f}" for e in evaluations]),
            ("calibration error", [html_percent(e.calibration_error) for e in evaluations]),
            ("network", [model.architecture for model in models]),
            ("parameters", [f"{model.size:,}" for model in models]),
            ("epochs trained", [f"{record.epoch:,}" if record else "–" for record in last]),
            ("training, s", [f"{record.seconds:.1f}" if record else "–" for record in last]),
            *self.settings(),
        ]

    def settings(self) -> list[tuple[str, list[str]]]:
        """Return the settings that are not the same in all runs."""
        plain = [
            dict(flat_settings({key: value for key, value in (one.config or {}).items() if key not in NO_SETTINGS}))
            for one in self.runs
        ]
        names = dict.fromkeys(name for settings in plain for name in settings if not name.startswith("network"))
        layers = [one.model.settings for one in self.runs]
        rows = [(name, [each[name] for each in layers]) for name in layers[0]]
        rows += [(name, [settings.get(name, "–") for settings in plain]) for name in names]
        return [(name.removeprefix("recipe."), values) for name, values in rows if len(set(values)) > 1]

    def text(self) -> str:
        """Return the figures as a table for a terminal, and the result of each test."""
        rows = [("", [one.name for one in self.runs]), *self.figures()]
        first = max(len(name) for name, _ in rows)
        widths = [max(len(values[k]) for _, values in rows) for k in range(len(self.runs))]
        lines = [
            f"{name:{first}}  {'  '.join(f'{v:>{width}}' for v, width in zip(values, widths, strict=True))}".rstrip()
            for name, values in rows
        ]
        return "\n".join([*lines, "", *(test.sentence for test in self.tests)])

    def html(self) -> str:
        """Return a page: a table, the learning curves, and the pictures that only one of two runs reads right."""
        evaluation, tests = self.best.evaluation, self.tests
        shown = [index for test in tests for index in [*test.only_best[:SHOWN], *test.only_other[:SHOWN]]]
        sheet = sprite_sheet(evaluation.data.images, list(dict.fromkeys(shown)))
        names = [one.name for one in self.runs]
        figures = table(["", *names], [[name, *values] for name, values in self.figures()])
        return document(
            f"{len(names)} runs on {evaluation.data.name}",
            f"<header><h1>{len(names)} runs side by side</h1><p class=soft>On the same {len(evaluation):,} pictures of "
            f"{escape(evaluation.data.name)}. Best: <b>{escape(self.best.name)}</b>.</p></header><main>"
            f'<section class="card"><h2>Figures</h2><p>Settings are shown where they differ.</p>{figures}</section>'
            f"{curves_section(self.runs)}{''.join(pairwise_section(test, sheet) for test in tests)}</main>",
            style=source("report.css", "byhand.report") + sheet.style(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "best": self.best.name,
            "runs": [
                {
                    "run": one.name,
                    "network": one.model.architecture,
                    "accuracy": one.evaluation.accuracy,
                    "interval": list(one.evaluation.interval),
                    "loss": one.evaluation.loss,
                    "parameters": one.model.size,
                    "training_seconds": one.records[-1].seconds if one.records else None,
                }
                for one in self.runs
            ],
            "against_best": [
                {
                    "run": test.other.name,
                    "only_best_right": len(test.only_best),
                    "only_other_right": len(test.only_other),
                    "p": test.p_value,
                }
                for test in self.tests
            ],
        }


def compare_runs(paths: Sequence[str | os.PathLike[str]], data: Dataset) -> Comparison:
    """Evaluate the models of several run folders, or model files, on the same data, and put them side by side."""
    check_several(paths)
    places = [os.fspath(path) for path in paths]
    names = [os.path.basename(os.path.normpath(place)) for place in places]
    if len(set(names)) < len(names):  # then their whole paths, numbered if these are the same too
        names = [f"{place} ({k})" if places.count(place) > 1 else place for k, place in enumerate(places, 1)]
    runs = []
    for place, name in zip(places, names, strict=True):
        run = Run.open(place)
        is_copy = os.path.isfile(place) and os.path.basename(place) != run.model_path.name
        records, config = ([], {}) if is_copy else (run.records(), run.config())
        model = load_reader(place)
        runs.append(ComparedRun(name, model, evaluate(model, data), records, config))
    return compare(runs)


def compare(runs: Sequence[ComparedRun]) -> Comparison:
    """Put evaluated runs side by side. All must have been evaluated on the same pictures."""
    check_several(runs)
    checksums = {one.evaluation.data.checksum for one in runs}
    if len(checksums) > 1:
        raise UsageError(f"runs must be compared on the same pictures, got {len(checksums)} different sets")
    return Comparison(tuple(runs))


def check_several(runs: Sequence[object]) -> None:
    """Raise an error if there are fewer than two runs."""
    if len(runs) < 2:
        raise UsageError(f"a comparison needs at least 2 runs, got {len(runs)}")


def mcnemar_p(b: int, c: int) -> float:
    """Return the p-value of McNemar's exact test: a fair coin at least as uneven as b : c, two-sided."""
    if b == c:
        return 1.0
    n = b + c
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(min(b, c) + 1)]
    return min(1.0, 2 * math.fsum(math.exp(one - n * math.log(2)) for one in logs))


# ---- the sections of the page


def curves_section(runs: Sequence[ComparedRun]) -> str:
    """Return loss and accuracy of all runs: those of the validation data, or else of the training data."""
    curves: list[Curve] = []
    rows: list[tuple[object, ...]] = []
    for place, one in enumerate(run for run in runs if run.records):
        training, validated = curve_points(one.records)
        points, name = validated or training, one.name if validated else f"{one.name} (training)"
        curves.append((name, LOOKS[place % len(LOOKS)], place >= len(LOOKS), points))
        rows += [(one.name, epoch, f"{loss:.4f}", f"{100 * share:.2f}") for epoch, loss, share in points[-ROWS:]]
    if not curves:
        return ""
    twin = folded("the curves as a table", table(("run", "epoch", "loss", "accuracy, %"), rows))
    return (
        '<section class="card"><h2>How they learned</h2><p>On the pictures held out for validation, where there were '
        f"any.</p>{curve_plots(curves)}{twin}</section>"
    )


def pairwise_section(test: PairwiseTest, sheet: Sprites) -> str:
    """Return the pictures that only one of the two reads right."""
    parts = []
    for one, loser, indices in ((test.best, test.other, test.only_best), (test.other, test.best, test.only_other)):
        items = "".join(item(index, loser, sheet) for index in indices[:SHOWN])
        some = f", {SHOWN} of them" if len(indices) > SHOWN else ""
        if indices:
            parts.append(f"<h3>Only {escape(one.name)} is right: {len(indices):,}{some}</h3><ul class=few>{items}</ul>")
    return (
        f'<section class="card"><h2>{escape(test.best.name)} against {escape(test.other.name)}</h2>'
        f"<p>{escape(test.sentence)}</p>{''.join(parts)}</section>"
    )


def item(index: int, loser: ComparedRun, sheet: Sprites) -> str:
    """Return one picture, its class, and the answer of the run that is wrong."""
    label, answer = loser.evaluation.names(index)
    tile = sheet.tile(index, f"picture {index}: is {label}, {loser.name} reads {answer}")
    words = f'is <b>{escape(label)}</b><br>not <b class="bad">{escape(answer)}</b>'
    return f'<li>{tile}<p>{words}<br><span class="soft">#{index}</span></p></li>'
