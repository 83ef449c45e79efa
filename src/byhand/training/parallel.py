"""Several threads over one batch: it is cut into blocks of rows, and each thread takes some through a pass of its own.

A step calls a `Team` in place of the three lines forward, loss, backward; the result is the same to rounding. Each
member adds up the gradients of its blocks in order; then the members' sums are added in order. So the same plan gives
the same bits, whichever thread is faster. If no thread can be started, the members work one after another.
"""

import itertools
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np

from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.losses import Loss, count_correct
from byhand.nn.rng import StepKey
from byhand.training.batches import Batch, Inputs
from byhand.training.plan import Plan


class Outcome(NamedTuple):
    """The mean loss of a batch, or a block's part of it, and how many samples were classified correctly."""

    loss: float
    correct: int


class Member:
    """One thread's pass, inputs and gradient. The members share the parameters, and only read them."""

    def __init__(self, pass_: Pass, inputs: Inputs, total: Array, loss: Loss) -> None:
        self.pass_, self.inputs, self.total, self.loss = pass_, inputs, total, loss

    def __call__(self, batch: Batch, blocks: list[slice], key: StepKey) -> Outcome:
        """Take these blocks of the batch; `total` is then their part of the batch's gradient."""
        value, correct = 0.0, 0
        self.total.fill(0)
        with np.errstate(over="ignore", invalid="ignore"):  # of a run that diverges, as in `Trainer.step`
            for block in blocks:
                outcome = self.block(batch, block, key._replace(row=key.row + block.start))
                value, correct = value + outcome.loss, correct + outcome.correct
                self.total += self.pass_.gradient
        return Outcome(value, correct)

    def block(self, batch: Batch, block: slice, key: StepKey) -> Outcome:
        """Forward, loss, backward for one block; its gradient is in the pass."""
        weights = None if batch.weights is None else batch.weights[block]
        labels = batch.labels[block]
        Z = self.pass_.forward(self.inputs(batch, block), key)
        loss, dZ = self.loss.value_and_gradient(Z, labels, self.pass_.loss_cache, weights=weights, total=batch.total)
        correct = count_correct(Z, labels)
        self.pass_.backward(dZ)
        return Outcome(loss, correct)


class Team:
    """The members of a plan. Close it to end its threads."""

    def __init__(self, members: list[Member], plan: Plan) -> None:
        self.members, self.plan = members, plan
        self.gradient = members[0].total
        self.pool = ThreadPoolExecutor(len(members) - 1, "byhand") if len(members) > 1 else None

    def __call__(self, batch: Batch, key: StepKey) -> Outcome:
        """Return the outcome of the batch; its gradient is in `gradient` until the next call."""
        (first, own_share), *others = zip(self.members, shares_of(len(batch.labels), self.plan), strict=True)
        futures = [self.start(member, batch, share, key) for member, share in others]
        try:
            outcomes = [first(batch, own_share, key)]
            for (member, share), future in zip(others, futures, strict=True):
                was_started = future is not None and not future.cancelled()
                outcomes.append(future.result() if was_started else member(batch, share, key))  # type: ignore[union-attr]
                self.gradient += member.total
        finally:
            wait([future for future in futures if future is not None])  # an error must leave no thread at work
        return Outcome(sum(outcome.loss for outcome in outcomes), sum(outcome.correct for outcome in outcomes))

    def start(self, member: Member, batch: Batch, share: list[slice], key: StepKey) -> Future[Outcome] | None:
        """Start a member's work on a thread; None if no thread can be started."""
        if self.pool is None:
            return None
        try:
            return self.pool.submit(member, batch, share, key)
        except RuntimeError:  # can't start new thread; the job is queued already, and must not be done twice
            self.pool.shutdown(cancel_futures=True)
            self.pool = None
            return None

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()


def shares_of(count: int, plan: Plan) -> list[list[slice]]:
    """Return the blocks of rows of each member: as even as can be, none longer than the plan's."""
    rounds = max(1, -(-count // (plan.block * plan.workers)))
    number = rounds * plan.workers
    edges = [count * i // number for i in range(number + 1)]
    rows = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
    return [rows[i * rounds : (i + 1) * rounds] for i in range(plan.workers)]
