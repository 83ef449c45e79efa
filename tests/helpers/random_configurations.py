"""Random configurations of network, optimizer, schedule, data and precision, and invariants for all of them.

`tried(number)` makes the configuration of that number and checks: its weights stay finite or one `DivergedError` is
raised; results are reproducible, also after resuming; with a moderate rate its loss falls; its gradient is correct.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from byhand.errors import DivergedError
from byhand.model import Model
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.gradcheck import gradcheck
from byhand.nn.losses import LOSSES, SoftmaxCrossEntropy
from byhand.nn.network import Network
from byhand.nn.optimizers import OPTIMIZERS, optimizer_named
from byhand.nn.rng import StepKey
from byhand.nn.schedules import SCHEDULES, schedule_named
from byhand.training import Recipe, Trainer, steps
from helpers import small_run

Rng = np.random.Generator

#: A moderate rate at which each optimizer learns a small network.
SANE = {"sgd": 0.02, "momentum": 0.005, "rmsprop": 0.003, "adam": 0.01, "adamw": 0.01}


@dataclass(frozen=True)
class Configuration:
    """One configuration. `wild` rates are a thousand times too high and may diverge."""

    network: dict[str, Any]
    recipe: Recipe
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    seed: int
    wild: bool

    def session(self) -> Trainer:
        settings = dict(self.network)
        model = Model(settings.pop("sizes"), seed=self.seed, **settings)
        return Trainer(model, (self.X, self.y), self.recipe, seed=self.seed, sample_weights=self.weights)

    def run(self, stop: int | None = None) -> str:
        """Return a fingerprint, or the message of a `DivergedError`; with `stop`, resume after that many steps."""
        with self.session() as session:
            try:
                for _ in islice(steps(session), stop):
                    pass
                if stop is not None:
                    arrays, plain = session.state()
                    arrays = {name: array.copy() for name, array in arrays.items()}
                    with self.session() as second:
                        second.restore(arrays, plain)
                        for _ in steps(second):
                            pass
                        return small_run.fingerprint(second)
            except DivergedError as error:
                return str(error)
            assert np.isfinite(session.model.network.parameters).all()
            return small_run.fingerprint(session)


def configuration(rng: Rng) -> Configuration:
    """Return a random configuration."""

    def maybe(share: float) -> bool:
        return bool(rng.random() < share)

    def one_of(things: Any) -> Any:
        return list(things)[rng.integers(0, len(things))]

    D, K, N = int(rng.integers(1, 20)), int(rng.integers(2, 6)), int(rng.integers(12, 90))
    dtype = one_of(["float32", "float64"])
    y = np.arange(N) % K
    X = rng.standard_normal((K, D))[y] + rng.standard_normal((N, D)) * 0.1
    activation = one_of(ACTIVATIONS)
    hidden = [int(rng.integers(1, 24)) for _ in range(rng.integers(0, 4))]
    network = {
        "sizes": [D, *hidden, K],
        "activation": activation,
        "dropout": float(rng.choice([0, 0, 0.1, 0.5])),
        "batch_norm": maybe(0.3),
        "init": "lecun" if activation == "identity" else one_of(["he", "glorot", "lecun"]),
        "output_scale": float(rng.choice([1, 0.1])),
        "dtype": dtype,
    }
    kind, wild = one_of(OPTIMIZERS), maybe(0.15)
    settings: dict[str, Any] = {"weight_decay": float(rng.choice([0, 1e-4, 0.01]))}
    if kind == "momentum":
        settings |= {"momentum": float(rng.choice([0, 0.5, 0.9])), "nesterov": maybe(0.5)}
    loss = one_of(LOSSES.values())()
    if isinstance(loss, SoftmaxCrossEntropy) and maybe(0.3):
        loss = SoftmaxCrossEntropy(0.1)
    validation = maybe(0.4)
    recipe = Recipe(
        epochs=int(rng.integers(1, 9)),
        batch_size=one_of([None, 1, 7, 16, N, 1000]),
        learning_rate=SANE[kind] * (1000 if wild else 1),
        optimizer=optimizer_named(kind, **settings),
        schedule=schedule_named(one_of(SCHEDULES)),
        loss=loss,
        clip=one_of([None, None, 1.0]),
        max_norm=one_of([None, None, 3.0]),
        ema_decay=one_of([None, None, 0.9]),
        validation=0.25 if validation else 0.0,
        patience=int(rng.integers(1, 4)) if validation and maybe(0.5) else None,
        record_every=int(rng.integers(1, 4)),
        threads=int(rng.integers(1, 3)),
    )
    weights = rng.random(N) + 0.1 if maybe(0.2) else None
    if weights is not None:
        weights[::7] = 0  # batches of one sample then have weight 0
    if maybe(0.25):
        side = int(rng.integers(3, 7))
        X = rng.standard_normal((K, side * side))[y] + rng.standard_normal((N, side * side)) * 0.1
        network |= {"sizes": [side * side, *hidden, K], "maps": slid(side, rng)}
    return Configuration(network, recipe, X, y, weights, int(rng.integers(0, 2**31)), wild)


def slid(side: int, rng: Rng) -> list[tuple[int, int, int]]:
    """Return one or two convolutions that fit an image of this side."""
    maps = []
    for _ in range(rng.integers(1, 3)):
        size, stride = int(rng.integers(1, side + 1)), int(rng.integers(1, 3))
        maps.append((int(rng.integers(1, 6)), size, stride))
        side = (side - size) // stride + 1
    return maps


def tried(number: int) -> str:
    """Check the invariants of one configuration; return "finished" or "diverged"."""
    rng = np.random.default_rng([9, number])
    chosen = configuration(rng)
    try:
        with chosen.session() as session:
            total = session.total_steps
        end = chosen.run()
        assert chosen.run() == end, "the same seed gave another result"
        assert chosen.run(stop=int(rng.integers(0, total + 1))) == end, "resuming gave another result"
        diverged = " became " in end
        assert end.isprintable()
        assert chosen.wild or not diverged, end
        check_gradient(chosen, rng)
        check_falls(chosen)
    except BaseException as error:
        error.add_note(f"configuration {number}: {chosen.network} {chosen.recipe} X {chosen.X.shape}")
        raise
    return "diverged" if diverged else "finished"


def check_gradient(chosen: Configuration, rng: Rng) -> None:
    """Check that `backward` gives the slope of `forward` in training, with the same dropout masks."""
    settings = dict(chosen.network) | {"dtype": "float64", "output_scale": 1.0}
    network = Network(settings.pop("sizes"), rng=rng, **settings)
    rows = slice(0, 8)
    check = gradcheck(
        network,
        chosen.X[rows],
        chosen.y[rows],
        loss=chosen.recipe.loss,
        key=StepKey(3, 4),
        elements=12,
        step=1e-4,
        tolerance=1e-4,
    )
    wrong = [tensor for tensor in check.tensors if tensor.checked and not tensor.error < check.tolerance]
    assert not wrong, str(check)  # tensors with every element at a kink are skipped


def check_falls(chosen: Configuration) -> None:
    """Check that sixty steps at a moderate, constant rate decrease the loss on the training data."""
    recipe = chosen.recipe.replace(
        epochs=60, batch_size=None, schedule=schedule_named("constant"), record_every=1, validation=0.0, patience=None,
        learning_rate=SANE[chosen.recipe.optimizer.kind],
    )  # fmt: skip
    calm = dict(chosen.network) | {"dropout": 0.0}
    with Configuration(calm, recipe, chosen.X, chosen.y, chosen.weights, chosen.seed, False).session() as session:
        losses = [record.loss for record in steps(session)]
    assert losses[-1] < losses[0], f"the loss rose from {losses[0]} to {losses[-1]}"
