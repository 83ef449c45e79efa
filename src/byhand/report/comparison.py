"""Comparison: runs side by side on the same pictures, and whether a difference is more than luck.

Two models that read the same pictures are compared by those that only one of them reads right: if they were equally
good, each such picture would be a coin's toss (McNemar's test, computed exactly).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand.errors import UsageError
from byhand.model import Reader
from byhand.nn.arrays import Array
from byhand.report.evaluation import Evaluation
from byhand.report.words import flat
from byhand.text import html_percent
from byhand.training.records import EpochRecord

#: Settings that say nothing about how a run was meant to go.
ASIDE = ("command", "made_with", "data_checksum", "card")
#: A difference is called real where luck would do as much in fewer than one case in twenty.
LUCK = 0.05


@dataclass(frozen=True, eq=False)
class Contestant:
    """One run: its name, its model, what was recorded, and what it made of the pictures."""

    name: str
    model: Reader
    evaluation: Evaluation
    records: Sequence[EpochRecord] = ()
    config: Mapping[str, Any] | None = None

    @property
    def right(self) -> Array:
        """Which pictures it read right                                       boolean (N,)"""
        right: Array = self.evaluation.predictions == self.evaluation.labels
        return right


@dataclass(frozen=True, eq=False)
class Duel:
    """A run against the best one: the pictures that only one of the two read right."""

    best: Contestant
    other: Contestant

    @property
    def only_best(self) -> list[int]:
        """Read right by the best run alone."""
        return [int(i) for i in np.flatnonzero(self.best.right & ~self.other.right)]

    @property
    def only_other(self) -> list[int]:
        """Read right by the other run alone."""
        return [int(i) for i in np.flatnonzero(self.other.right & ~self.best.right)]

    @property
    def chance(self) -> float:
        """How often luck alone would make a difference at least this large."""
        return coin_toss(len(self.only_best), len(self.only_other))

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        mine, theirs = len(self.only_best), len(self.only_other)
        start = f"{self.best.name} alone reads {mine:,} right, {self.other.name} alone {theirs:,}: "
        if mine + theirs == 0:
            return f"{self.best.name} and {self.other.name} are right about the same pictures."
        if self.chance < LUCK:
            return f"{start}more than luck (p = {self.chance:.2g})."
        return f"{start}it may be luck (p = {self.chance:.2g})."


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs in the order given; `best` is the one with the highest accuracy."""

    contestants: tuple[Contestant, ...]

    @property
    def best(self) -> Contestant:
        return max(self.contestants, key=lambda one: one.evaluation.correct)

    @property
    def duels(self) -> list[Duel]:
        """The best against every other."""
        return [Duel(self.best, other) for other in self.contestants if other is not self.best]

    def figures(self) -> list[tuple[str, list[str]]]:
        """(what, one value for each run): first what came of it, then the settings in which they differ."""
        rows: list[tuple[str, list[str]]] = [
            ("accuracy", [html_percent(one.evaluation.accuracy) for one in self.contestants]),
            (
                "95 % interval",
                [" to ".join(html_percent(e) for e in one.evaluation.interval) for one in self.contestants],
            ),
            ("mistakes", [f"{len(one.evaluation.mistakes):,}" for one in self.contestants]),
            ("loss", [f"{one.evaluation.loss:.4f}" for one in self.contestants]),
            ("calibration error", [html_percent(one.evaluation.calibration_error) for one in self.contestants]),
            ("network", [one.model.architecture for one in self.contestants]),
            ("parameters", [f"{one.model.size:,}" for one in self.contestants]),
            ("epochs", [f"{one.records[-1].epoch:,}" if one.records else "–" for one in self.contestants]),
            ("training, s", [f"{one.records[-1].seconds:.1f}" if one.records else "–" for one in self.contestants]),
        ]
        return rows + self.settings()

    def settings(self) -> list[tuple[str, list[str]]]:
        """The settings that are not the same in all runs."""
        plain = [
            dict(flat({key: value for key, value in (one.config or {}).items() if key not in ASIDE}))
            for one in self.contestants
        ]
        names = list(dict.fromkeys(name for settings in plain for name in settings if not name.startswith("network")))
        layers = [one.model.settings for one in self.contestants]
        rows = [(name, [each[name] for each in layers]) for name in layers[0]]
        rows += [(name, [settings.get(name, "–") for settings in plain]) for name in names]
        return [(name.removeprefix("recipe."), values) for name, values in rows if len(set(values)) > 1]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
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
                for one in self.contestants
            ],
            "against_best": [
                {
                    "run": duel.other.name,
                    "only_best_right": len(duel.only_best),
                    "only_other_right": len(duel.only_other),
                    "p": duel.chance,
                }
                for duel in self.duels
            ],
        }


def check_several(runs: Sequence[object]) -> None:
    """There is nothing to compare in one."""
    if len(runs) < 2:
        raise UsageError(f"a comparison needs at least 2 runs, got {len(runs)}")


def compare(contestants: Sequence[Contestant]) -> Comparison:
    """Put runs side by side. All must have been evaluated on the same pictures."""
    check_several(contestants)
    checksums = {one.evaluation.data.checksum for one in contestants}
    if len(checksums) > 1:
        raise UsageError(f"runs must be compared on the same pictures, got {len(checksums)} different sets")
    return Comparison(tuple(contestants))


def coin_toss(heads: int, tails: int) -> float:
    """How likely a fair coin is to be at least as uneven as this (two-sided, exact)."""
    count, fewer = heads + tails, min(heads, tails)
    if heads == tails:
        return 1.0
    logs = [math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(one - count * math.log(2)) for one in logs))
