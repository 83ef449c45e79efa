"""The rising-rate sweep: which learning rate suits this network, this data and this recipe?

A short run on a copy of the model in which the rate grows at every step, from far too small to far too large. At first
nothing happens, then the loss falls faster and faster, then it explodes. Where it falls fastest is a careful rate,
where it is lowest a daring one, and the suggestion lies between the two. The model that was given is not changed.
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

#: How much of the smoothed loss is the past.
MEMORY = 0.9
#: The sweep is over when the smoothed loss is so many times its lowest, or when all that was learned is lost again:
#: it had fallen under this share of its first value, and is back above it.
EXPLODED, LEARNED = 4.0, 0.9
#: The share of the rate at which it diverged that a suggestion may reach.
SAFE = 0.25
#: Steps at either end that say nothing: the smoothing has only begun, or the explosion has.
MARGIN = 5


@dataclass(frozen=True)
class Sweep:
    """The rates, the loss of each step's batch and the smoothed loss; where it diverged and what to take.

    rates, losses, smoothed: one number a step. `diverged_at` is the step at which it was clear that the loss had
    exploded, or that all was lost again; None where neither happened.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged_at: int | None

    @property
    def lowest(self) -> int:
        """The step at which the smoothed loss was lowest."""
        return int(np.argmin(self.smoothed))

    @property
    def steepest(self) -> int | None:
        """The step at which the loss fell fastest for the rate's growth; None where it never fell."""
        stop = self.lowest + 1
        if stop - MARGIN < 3:
            return None
        slope = np.gradient(np.array(self.smoothed[:stop]), np.log(self.rates[:stop]))[MARGIN:]
        return int(slope.argmin()) + MARGIN

    @property
    def suggestion(self) -> float | None:
        """√(the rate of the steepest step · the rate of the lowest loss), in two digits; None where it never fell.

        And at most a quarter of the rate at which it diverged: the smoothed loss lags behind the explosion.
        """
        if self.steepest is None:
            return None
        between = float(np.sqrt(self.rates[self.steepest] * self.rates[self.lowest]))
        limit = SAFE * self.rates[self.diverged_at] if self.diverged_at is not None else np.inf
        return float(f"{min(between, limit):.1e}")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
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
    """Sweep the learning rate from `lowest` to `highest` in `steps` steps of training, each a batch of `data`.

    The recipe gives the batch size, the optimiser, the loss and the augmentation; its own rate and schedule are not
    used.
    """
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
                mean = MEMORY * mean + (1 - MEMORY) * losses[-1]
                smoothed.append(mean / (1 - MEMORY ** len(losses)))
                diverged = len(losses) > MARGIN + 1 and has_diverged(smoothed)
            except DivergedError:
                losses.append(float("nan"))
                smoothed.append(float("inf"))
                diverged = True
    return Sweep(rates[: len(losses)], tuple(losses), tuple(smoothed), len(losses) - 1 if diverged else None)


def has_diverged(smoothed: list[float]) -> bool:
    """Whether the last of these losses has exploded, or has lost all that was learned."""
    now, lowest, first = smoothed[-1], min(smoothed), smoothed[0]
    return now > EXPLODED * lowest or (lowest < LEARNED * first and now > first)
