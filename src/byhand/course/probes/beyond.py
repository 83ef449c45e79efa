"""Probes of what the course adds where the texts stop: mini-batches and momentum."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from byhand.course.probes.forward import network
from byhand.course.probes.probing import Array, Function, MisshapenError, Outputs, Probe, kind_of, named, numbers, parts


def _batches_outputs(value: Any, _printed: str) -> Outputs:
    if not isinstance(value, list | tuple):
        mistake = "nothing returned" if value is None else ""
        raise MisshapenError(f"must return a list of pairs (X_batch, Y_batch), it returns {kind_of(value)}", mistake)
    outputs: dict[str, Any] = {"number of batches": len(value)}
    for place, pair in enumerate(value, 1):
        X, Y = parts(pair, "X_batch", "Y_batch")
        X_batch, Y_batch = numbers(X, "X_batch"), numbers(Y, "Y_batch")
        if X_batch.ndim != 2 or Y_batch.ndim != 2 or X_batch.shape[1] != Y_batch.shape[1]:
            shapes = f"{X_batch.shape} and {Y_batch.shape}"
            raise MisshapenError(f"X_batch and Y_batch must have a column for each sample of the batch, have {shapes}")
        # one below the other: which of the two is in the wrong order tells one mistake from another
        outputs[f"batch {place}, X above Y"] = np.vstack([X_batch, Y_batch])
    return outputs


def _mini_batches(rng: np.random.Generator) -> Iterator[Probe]:
    for m, batch_size in ((12, 4), (11, 4), (3, 5)):
        _, X, Y = network(rng, [6, 10], m)
        order = np.roll(rng.permutation(m), 1)
        if np.array_equal(order, np.arange(m)):
            order = order[::-1].copy()

        def cut(of_X: Array, of_Y: Array, X: Array = X, Y: Array = Y, size: int = batch_size) -> Outputs:
            starts = range(0, X.shape[1], size)
            pairs = [(X[:, of_X[k : k + size]], Y[:, of_Y[k : k + size]]) for k in starts]
            return _batches_outputs(pairs, "")

        straight = np.arange(m)
        wrong: dict[str, Outputs] = {
            "pictures and labels parted": cut(order, straight),
            "pictures and labels parted ": cut(straight, order),
            "order ignored": cut(straight, straight),
        }
        if m % batch_size:
            wrong["last batch left out"] = {"number of batches": m // batch_size}
        arguments = {"X": X, "Y": Y, "order": order, "batch_size": batch_size}
        yield Probe(arguments, cut(order, order), wrong, m=m)


def _momentum_outputs(value: Any, _printed: str) -> Outputs:
    parameters, velocities = parts(value, "parameters", "velocities")
    speeds = {f"velocity of {name}": array for name, array in named(velocities, "velocities").items()}
    return {**named(parameters, "parameters"), **speeds}


def _update_with_momentum(rng: np.random.Generator) -> Iterator[Probe]:
    for dimensions in ([5, 4, 10], [6, 6, 10]):
        parameters, _, _ = network(rng, dimensions, 3)
        steps = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
        old = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
        rate, momentum = 0.37, 0.8

        def moved(keep: float, new: float, size: float, p: Any = parameters, g: Any = steps, v: Any = old) -> Outputs:
            after = {name: keep * v[name] + new * g[name] for name in p}
            return _momentum_outputs(({name: p[name] - size * after[name] for name in p}, after), "")

        wrong: dict[str, Outputs] = {
            "old velocity dropped": moved(0, 1, rate),
            "old velocity kept whole": moved(1, 1, rate),
            "averaged velocity": moved(momentum, 1 - momentum, rate),
            "learning rate in the velocity": moved(momentum, rate, 1),
            "learning rate left out": moved(momentum, 1, 1),
            "climbing": moved(momentum, 1, -rate),
            "not updated": {**parameters, **{f"velocity of {name}": value for name, value in old.items()}},
        }
        arguments = {
            "parameters": parameters,
            "gradients": {f"d{name}": step for name, step in steps.items()},
            "velocities": old,
            "learning_rate": rate,
            "momentum": momentum,
        }
        yield Probe(arguments, moved(momentum, 1, rate), wrong)


BEYOND = (
    Function("mini_batches", (), _mini_batches, _batches_outputs),
    Function(
        "update_with_momentum",
        (),
        _update_with_momentum,
        _momentum_outputs,
        in_place=("parameters", "velocities"),
    ),
)
