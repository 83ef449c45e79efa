"""The engine: the loss and the gradient of one batch, computed as the plan says.

Each worker takes its share of the batch, block by block: pixels become floats, forward, loss, backward. It adds up the
gradients of its blocks in order; then the workers' sums are added in order. So the same plan gives the same bits.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np

from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, Dense
from byhand.nn.losses import Loss
from byhand.nn.network import Caches, Network
from byhand.nn.noise import Moment
from byhand.nn.scratch import FRESH, Array, First, Workspace, aligned
from byhand.reading import blocks
from byhand.training.feed import Batch, Floats
from byhand.training.plan import Plan
from byhand.training.shard import Shard

#: Training samples looked at, after each epoch, for units that never switch on.
LOOKED_AT = 1_000


class Outcome(NamedTuple):
    """What a batch came to: its mean loss, and how many of its samples were read right."""

    loss: float
    correct: int


class Engine:
    """Computes gradients into `gradient`, one vector. Close it, or use it as a context, to end its threads."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        floats: Floats,
        plan: Plan,
        first: First | None = None,
        shard: Shard | None = None,
    ) -> None:
        self.shard = shard
        #: The gradient, and behind it what else the processes of a shared run tell each other: one message a step.
        self.message = (shard.vector if shard is not None else aligned)(network.size + 3, network.dtype)
        self.network = network
        self.loss = loss
        self.floats = floats
        self.plan = plan
        self.first = first
        self.gradient = self.message[: network.size]
        self.workers = [Worker(self, self.gradient)] + [
            Worker(self, aligned(network.size, network.dtype)) for _ in range(plan.workers - 1)
        ]
        self.pool = ThreadPoolExecutor(plan.workers - 1, "byhand") if plan.workers > 1 else None

    def __call__(self, batch: Batch, at: Moment) -> Outcome:
        """The mean loss and the number read right; the gradient is in `gradient`, until the next call."""
        if self.shard is not None:
            at = Moment(at.seed, at.step, batch.first, self.shard.sum)
        shares = self.shares(len(batch.labels))
        futures = [
            self.pool.submit(worker, batch, share, at)  # type: ignore[union-attr]
            for worker, share in zip(self.workers[1:], shares[1:], strict=True)
        ]
        outcomes = [self.workers[0](batch, shares[0], at)]
        for worker, future in zip(self.workers[1:], futures, strict=True):
            outcomes.append(future.result())
            self.gradient += worker.sum
        outcome = Outcome(sum(o.loss for o in outcomes), sum(o.correct for o in outcomes))
        return outcome if self.shard is None else self.summed(outcome, self.shard)

    def summed(self, own: Outcome, shard: Shard) -> Outcome:
        """The outcome of the whole batch, and in `gradient` its gradient, from the shares of all processes."""
        self.message[-3:] = own.loss, own.correct, shard.stop.is_set()
        shard.sum(self.message)
        loss, correct, asked = self.message[-3:]
        if asked:
            shard.stopped.set()
        return Outcome(float(loss), round(correct))

    def shares(self, count: int) -> list[list[slice]]:
        """For each worker, the blocks of rows it works: as even as can be, none longer than the plan's."""
        rounds = max(1, -(-count // (self.plan.block * self.plan.workers)))
        blocks = rounds * self.plan.workers
        edges = [count * i // blocks for i in range(blocks + 1)]
        rows = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
        return [rows[i * rounds : (i + 1) * rounds] for i in range(self.plan.workers)]

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()
        if self.shard is not None:
            self.shard.release(self.message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Worker:
    """One thread's workspace and gradient: nothing in it is shared."""

    def __init__(self, engine: Engine, vector: Array) -> None:
        self.engine = engine
        self.work = Workspace(engine.plan.padding, engine.first)
        self.sum, self.sum_views = vector, engine.network.by_layer(vector)
        self.part, self.part_views = self.sum, self.sum_views

    def __call__(self, batch: Batch, rows: list[slice], at: Moment) -> Outcome:
        """Work these rows of the batch; `sum` is then their part of the batch's gradient."""
        loss, correct = 0.0, 0
        if not rows:
            self.sum[:] = 0
        with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is reported by its loss
            for number, block in enumerate(rows):
                outcome = self.block(batch, block, replace(at, row=at.row + block.start), number > 0)
                loss += outcome.loss
                correct += outcome.correct
        return Outcome(loss, correct)

    def block(self, batch: Batch, rows: slice, at: Moment, adds: bool) -> Outcome:
        """Forward, loss, backward on one block; the gradient is put into `sum`, or added to it."""
        network, work = self.engine.network, self.work
        X = self.engine.floats(batch, rows, work)
        y = batch.labels[rows]
        weights = None if batch.weights is None else batch.weights[rows]
        out, caches = network.forward(X, work, at=at)
        correct = int(np.count_nonzero(out.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))))
        if batch.total == 0 or len(y) == 0:  # of a short batch a process may have none; or none that weighs anything
            loss, dout = 0.0, np.zeros_like(out)
        else:
            loss, dout = self.engine.loss(out, y, weights=weights, total=batch.total, work=work)
        if adds and self.part is self.sum:
            self.part, self.part_views = network.gradient_like()
        network.backward(dout, caches, self.part_views if adds else self.sum_views, work)
        if adds:
            self.sum += self.part
        if network.needs_whole_batch:
            network.commit(caches, batch.count)
        return Outcome(loss, correct)


def evaluate(network: Network, loss: Loss, floats: Floats, batch: Batch, block: int = 250) -> tuple[float, float]:
    """The mean loss and the accuracy of a batch, outside training: of a share of one, its part of both."""
    work = Workspace()
    total = batch.total
    losses, correct = 0.0, 0.0
    for rows in blocks(len(batch.labels), network.together(block)):
        y = batch.labels[rows]
        weights = None if batch.weights is None else batch.weights[rows]
        out, _ = network.forward(floats(batch, rows, work), work)
        losses += loss(out, y, weights=weights, total=total, work=work)[0]
        right = out.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))
        correct += float(right.sum() if weights is None else weights[right].sum())
    return losses, correct / total


def look(network: Network, floats: Floats, batch: Batch) -> tuple[Array, tuple[float, ...]]:
    """The network's answers to these samples, and of each activation that can switch off, the share of dead units."""
    answers: list[Array] = []
    on: list[Array] = []
    for rows in blocks(len(batch.labels), network.together(LOOKED_AT)):
        out, caches = network.forward(floats(batch, rows, FRESH))
        answers.append(out)
        here = switched_on(network, caches)
        on = [before | now for before, now in zip(on, here, strict=True)] if on else here
    return np.concatenate(answers), tuple(float(np.mean(~units)) for units in on)


def switched_on(network: Network, caches: Caches) -> list[Array]:
    """For each activation that can switch off, which of its units some sample switched on     (units,) each

    A map of a convolution is one unit: it is the same weights everywhere, and alive where anything switches it on.
    """
    on, units = [], 0
    for layer, H in zip(network.layers, caches, strict=True):
        if isinstance(layer, Dense | Convolution):
            units = len(layer.b)
        elif isinstance(layer, Activation) and layer.pair.name == "relu":
            on.append((H.reshape(-1, units or H.shape[1]) > 0).any(axis=0))
    return on
