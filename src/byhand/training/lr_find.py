"""The learning-rate range test: a short run on a copy of the model, with an increasing learning rate.

The loss first stays the same, then falls, then explodes. The rate of the steepest fall is conservative, that of the
lowest loss aggressive; the suggestion is between them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand.errors import DivergedError, UsageError
from byhand.model.model import Model, check_model
from byhand.nn.schedules import Constant
from byhand.training.loop import Trainer
from byhand.training.recipe import Recipe
from byhand.training.setup import Data

#: Decay of the exponential moving average (EMA) of the losses.
DECAY = 0.9
#: Divergence: the loss is this multiple of its minimum, or above its first value after a fall to this fraction.
EXPLODED, LEARNED = 4.0, 0.9
#: The suggestion is at most this fraction of the rate at which the loss diverged.
SAFE = 0.25
#: Steps that are ignored at the start, where the average is still noisy.
MARGIN = 5


@dataclass(frozen=True)
class Sweep:
    """The result of a range test: one number per step, and the step at which the loss diverged."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged_at: int | None

    @property
    def lowest(self) -> int:
        """The step of the lowest smoothed loss."""
        return int(np.argmin(self.smoothed))

    @property
    def steepest(self) -> int | None:
        """The step of the steepest fall over ln rate; None if the loss never fell."""
        stop = self.lowest + 1
        if stop - MARGIN < 3:
            return None
        slope = np.gradient(np.array(self.smoothed[:stop]), np.log(self.rates[:stop]))[MARGIN:]
        return int(slope.argmin()) + MARGIN

    @property
    def suggestion(self) -> float | None:
        """√(steepest rate · rate of the lowest loss), to two digits; None if the loss never fell.

        At most a quarter of the rate of divergence, since the smoothed loss lags behind.
        """
        if self.steepest is None:
            return None
        between = float(np.sqrt(self.rates[self.steepest] * self.rates[self.lowest]))
        limit = SAFE * self.rates[self.diverged_at] if self.diverged_at is not None else np.inf
        return float(f"{min(between, limit):.1e}")

    def to_json(self) -> dict[str, Any]:
        return {
            "suggestion": self.suggestion,
            "steepest_rate": None if self.steepest is None else self.rates[self.steepest],
            "lowest_loss_rate": self.rates[self.lowest],
            "diverged_at": self.diverged_at,
            "diverged_rate": None if self.diverged_at is None else self.rates[self.diverged_at],
            "rates": list(self.rates),
            "losses": [loss if np.isfinite(loss) else None for loss in self.losses],
        }


def lr_find(
    model: Model,
    data: Data,
    recipe: Recipe | None = None,
    *,
    lowest: float = 1e-4,
    highest: float = 10.0,
    steps: int = 120,
    seed: int = 0,
) -> Sweep:
    """Run a learning-rate range test. The rate and the schedule of the recipe are not used."""
    if not 0 < lowest < highest < np.inf:
        raise UsageError(f"lowest must be positive and below highest, got {lowest} and {highest}")
    if steps < 4 * MARGIN:
        raise UsageError(f"steps must be at least {4 * MARGIN}, got {steps}")
    twin = Model(check_model(model).network.copy(), preparation=model.preparation, classes=model.classes)
    recipe = (recipe or Recipe()).replace(
        schedule=Constant(), validation=0.0, patience=None, ema_decay=None, epochs=steps
    )
    rates = tuple(float(rate) for rate in np.geomspace(lowest, highest, steps))
    losses: list[float] = []
    smoothed: list[float] = []
    mean, diverged = 0.0, False
    with Trainer(twin, data, recipe, seed=seed) as trainer:
        while len(losses) < steps and not diverged:
            try:
                losses.append(trainer.step(learning_rate=rates[len(losses)]).loss)
                mean = DECAY * mean + (1 - DECAY) * losses[-1]
                smoothed.append(mean / (1 - DECAY ** len(losses)))
                diverged = len(losses) > MARGIN + 1 and has_diverged(smoothed)
            except DivergedError:
                losses.append(float("nan"))
                smoothed.append(float("inf"))
                diverged = True
    return Sweep(rates[: len(losses)], tuple(losses), tuple(smoothed), len(losses) - 1 if diverged else None)


def has_diverged(smoothed: list[float]) -> bool:
    """Return True if the last of these losses shows divergence."""
    now, lowest, first = smoothed[-1], min(smoothed), smoothed[0]
    return now > EXPLODED * lowest or (lowest < LEARNED * first and now > first)
