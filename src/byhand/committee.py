"""The committee: several models that read a picture together.

    committee = Committee([Model.load(path) for path in paths])
    committee.predict(images)            # as a model does; the answer is the mean of the members' probabilities

Each member was trained from a seed of its own, so each errs on pictures of its own, and the mean of their
probabilities errs less often than any of them. `byhand.training.runs` reads one from the folder of its members.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.losses import softmax
from byhand.nn.scratch import Array


class Committee:
    """Models with the same classes for pictures of the same size. `card` holds what is known of its making."""

    def __init__(self, members: Sequence[Model], *, card: dict[str, Any] | None = None) -> None:
        if not members:
            raise UsageError("a committee needs at least 1 member, got none")
        self.members = tuple(members)
        self.card = dict(card or {})
        self.classes = members[0].classes
        for number, member in enumerate(members, start=1):
            if member.classes != self.classes or member.network.in_size != members[0].network.in_size:
                raise UsageError(
                    f"members of a committee must read the same pictures into the same classes, member {number} has "
                    f"{member.network.in_size} pixels and {len(member.classes)} classes, the first "
                    f"{members[0].network.in_size} and {len(self.classes)}"
                )

    def probabilities(self, images: Array) -> Array:
        """P = mean over the members of softmax(Z)                images: uint8 (N, H, W) or (N, D) → (N, K)"""
        P = softmax(self.members[0].logits(images).astype(np.float64))
        for member in self.members[1:]:
            P += softmax(member.logits(images).astype(np.float64))
        P /= len(self.members)
        return P

    def logits(self, images: Array) -> Array:
        """ln P, of which softmax gives P again: finite, for no probability of float64 is taken below its smallest"""
        P = self.probabilities(images)
        logits: Array = np.log(np.maximum(P, np.finfo(P.dtype).tiny))
        return logits

    def predict(self, images: Array) -> Array:
        """The most likely class, as a number                     images: uint8 (N, H, W) or (N, D) → (N,)"""
        classes: Array = self.probabilities(images).argmax(axis=1)
        return classes

    def accuracy(self, data: Dataset) -> float:
        """The share of a data set that the committee reads right."""
        if len(data) == 0:
            raise UsageError("accuracy needs at least one picture, got an empty data set")
        return float(np.mean(self.predict(data.images) == data.labels))

    @property
    def size(self) -> int:
        """Parameters of all members together."""
        return sum(member.network.size for member in self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"<Committee of {len(self)}, {self.size:,} parameters, the first member: {self.members[0]!r}>"


#: Whatever reads pictures: one model, or several together.
Reader = Model | Committee
