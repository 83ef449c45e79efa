"""Comparison of runs on the same images, with McNemar's exact test.

The test counts the images that only one of two models classifies correctly. If both were equally accurate, each of
them would favor either model with probability one half.
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
from byhand.text import aligned, html_percent
from byhand.training.records import EpochRecord
from byhand.training.runs import Run, load_reader

#: Entries of a run's configuration that are not settings.
NO_SETTINGS = ("command", "made_with", "data_checksum", "card")
#: Significance level.
ALPHA = 0.05
#: Style of each run's curve; further runs use them again, dotted.
LOOKS = ("one", "two", "three", "four", "five", "six")
#: Maximum number of images shown per list, and of epochs in the table of the curves.
SHOWN, ROWS = 18, 20


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run with its evaluation, epoch records and configuration."""

    name: str
    model: Reader
    evaluation: Evaluation
    records: Sequence[EpochRecord] = ()
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class PairwiseTest:
    """McNemar's test of the best run against another."""

    best: ComparedRun
    other: ComparedRun
    only_best: list[int]
    only_other: list[int]

    @property
    def p_value(self) -> float:
        """Probability of a difference at least as large between equally accurate models."""
        return mcnemar_p(len(self.only_best), len(self.only_other))

    @property
    def sentence(self) -> str:
        """The result in words."""
        best, other = len(self.only_best), len(self.only_other)
        if best + other == 0:
            return f"{self.best.name} and {self.other.name} classify the same images correctly."
        verdict = "" if self.p_value < ALPHA else "not "
        return (
            f"Only {self.best.name} is right on {best:,} images, only {self.other.name} on {other:,}: "
            f"{verdict}significant (p = {self.p_value:.2g})."
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
        """The best run against every other."""
        best, right = self.best, self.best.evaluation.right
        return [
            PairwiseTest(best, one, *(np.flatnonzero(only).tolist() for only in (right > other, other > right)))
            for one in self.runs
            for other in [one.evaluation.right]
            if one is not best
        ]

    def figures(self) -> list[tuple[str, list[str]]]:
        """Return rows of a name and one value per run: the results, then the settings that differ."""
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
        """Return the settings that differ between runs."""
        plain = [
            dict(flat_settings({key: value for key, value in (one.config or {}).items() if key not in NO_SETTINGS}))
            for one in self.runs
        ]
        names = dict.fromkeys(name for settings in plain for name in settings if not name.startswith("network"))
        layers = [one.model.settings for one in self.runs]
        rows = [(name, [each[name] for each in layers]) for name in layers[0]]
        rows += [(name, [settings.get(name, "–") for settings in plain]) for name in names]
        return [(name.removeprefix("recipe."), values) for name, values in rows if len(set(values)) > 1]

    def text(self, columns: int | None = None) -> str:
        """Return a table and the result of each test, for a terminal of this width."""
        rows = [["", *(one.name for one in self.runs)], *([name, *values] for name, values in self.figures())]
        return "\n".join([*aligned(rows, columns), "", *(test.sentence for test in self.tests)])

    def html(self) -> str:
        """Return the comparison as an HTML page."""
        evaluation, tests = self.best.evaluation, self.tests
        shown = [index for test in tests for index in [*test.only_best[:SHOWN], *test.only_other[:SHOWN]]]
        sheet = sprite_sheet(evaluation.data.images, list(dict.fromkeys(shown)))
        names = [one.name for one in self.runs]
        figures = table(["", *names], [[name, *values] for name, values in self.figures()])
        return document(
            f"{len(names)} runs on {evaluation.data.name}",
            f"<header><h1>Comparison of {len(names)} runs</h1><p class=soft>On the same {len(evaluation):,} images of "
            f"{escape(evaluation.data.name)}. Best: <b>{escape(self.best.name)}</b>.</p></header><main>"
            f'<section class="card"><h2>Results</h2><p>Only settings that differ are listed.</p>{figures}</section>'
            f"{curves_section(self.runs)}{''.join(pairwise_section(test, sheet) for test in tests)}</main>",
            style=source("report.css", "byhand.report") + sheet.style(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
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
    """Evaluate the models of several run folders or model files on the same data."""
    check_several(paths)
    places = [os.fspath(path) for path in paths]
    names = [os.path.basename(os.path.normpath(place)) for place in places]
    if len(set(names)) < len(names):
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
    """Compare runs that were evaluated on the same images."""
    check_several(runs)
    checksums = {one.evaluation.data.checksum for one in runs}
    if len(checksums) > 1:
        raise UsageError(f"runs must be evaluated on the same images, got {len(checksums)} different sets")
    return Comparison(tuple(runs))


def check_several(runs: Sequence[object]) -> None:
    """Raise an error if there are fewer than two runs."""
    if len(runs) < 2:
        raise UsageError(f"a comparison needs at least 2 runs, got {len(runs)}")


def mcnemar_p(b: int, c: int) -> float:
    """Return the p-value of McNemar's exact test, two-sided."""
    if b == c:
        return 1.0
    n = b + c
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(min(b, c) + 1)]
    return min(1.0, 2 * math.fsum(math.exp(one - n * math.log(2)) for one in logs))


# ---- the sections of the page


def curves_section(runs: Sequence[ComparedRun]) -> str:
    """Return the validation curves of all runs; training curves of those without validation data."""
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
    words = "Measured on the validation set, if the run has one."
    return f'<section class="card"><h2>Learning curves</h2><p>{words}</p>{curve_plots(curves)}{twin}</section>'


def pairwise_section(test: PairwiseTest, sheet: Sprites) -> str:
    """Return the images that only one of the two classifies correctly."""
    parts = []
    for one, loser, indices in ((test.best, test.other, test.only_best), (test.other, test.best, test.only_other)):
        items = "".join(item(index, loser, sheet) for index in indices[:SHOWN])
        some = f", {SHOWN} shown" if len(indices) > SHOWN else ""
        if indices:
            title = f"Only {escape(one.name)} is right: {len(indices):,}{some}"
            parts.append(f"<h3>{title}</h3><ul class=few>{items}</ul>")
    return (
        f'<section class="card"><h2>{escape(test.best.name)} vs {escape(test.other.name)}</h2>'
        f"<p>{escape(test.sentence)}</p>{''.join(parts)}</section>"
    )


def item(index: int, loser: ComparedRun, sheet: Sprites) -> str:
    """Return an image with its label and the wrong prediction."""
    label, answer = loser.evaluation.names(index)
    tile = sheet.tile(index, f"image {index}: label {label}, predicted {answer} by {loser.name}")
    words = f'label <b>{escape(label)}</b><br>not <b class="bad">{escape(answer)}</b>'
    return f'<li>{tile}<p>{words}<br><span class="soft">#{index}</span></p></li>'
