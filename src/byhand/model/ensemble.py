"""Asked more than once: several models that read a picture together, and one that looks at it several times.

    committee = Committee([Model.load(path) for path in paths])
    committee.predict(images)            # as a model does; the answer is the mean of the members' probabilities
    Shifted(model).predict(images)       # the mean over the picture and its four neighbours, a pixel away

Each member of a committee was trained from a seed of its own, so each errs on pictures of its own, and the mean of
their probabilities errs less often than any of them; and so with several views of one picture.
`byhand.training.runs` reads a committee from the folder of its members.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.errors import UsageError, described
from byhand.model.model import Model, share_right
from byhand.nn.arrays import Array
from byhand.nn.losses import softmax


class Averaged(ABC):
    """Reads as a model does, by the mean of several answers. `card` holds what is known of its making."""

    classes: tuple[str, ...]
    card: dict[str, Any]

    @abstractmethod
    def answers(self, images: Array) -> Iterator[Array]:
        """Several times softmax(Z), in float64                   images: uint8 (N, H, W) or (N, D) → (N, K) each"""

    def probabilities(self, images: Array) -> Array:
        """P = mean over the answers                              images: uint8 (N, H, W) or (N, D) → (N, K)"""
        answers = self.answers(images)
        P, count = next(answers), 1
        for answer in answers:
            P += answer
            count += 1
        P /= count
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
        """The share of a data set that is read right."""
        return share_right(self, data)


class Committee(Averaged):
    """Models with the same classes for pictures of the same size."""

    def __init__(self, members: Iterable[Model], *, card: dict[str, Any] | None = None) -> None:
        if not isinstance(members, Iterable):
            raise UsageError(f"members of a committee must be a list of models, got {described(members)}")
        self.members = members = tuple(members)
        if not members:
            raise UsageError("a committee needs at least 1 member, got none")
        if others := [member for member in members if not isinstance(member, Model)]:
            raise UsageError(f"members of a committee must be models, got {described(others[0])}")
        self.card = dict(card or {})
        self.classes = members[0].classes
        for number, member in enumerate(members, start=1):
            if member.classes != self.classes or member.network.in_size != members[0].network.in_size:
                raise UsageError(
                    f"members of a committee must read the same pictures into the same classes, member {number} has "
                    f"{member.network.in_size} pixels and {len(member.classes)} classes, the first "
                    f"{members[0].network.in_size} and {len(self.classes)}"
                )

    def answers(self, images: Array) -> Iterator[Array]:
        for member in self.members:
            yield softmax(member.logits(images).astype(np.float64))

    @property
    def size(self) -> int:
        """Parameters of all members together."""
        return sum(member.network.size for member in self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"<Committee of {len(self)}, {self.size:,} parameters, the first member: {self.members[0]!r}>"


#: How far (down, to the right) a picture is moved each time it is looked at, in pixels.
MOVES = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


class Shifted(Averaged):
    """A model, or a committee, that looks at each picture five times: as it is, and a pixel away, four ways.

    It errs less often for five times the work; `docs/recipes.md` says by how much.
    """

    def __init__(self, reader: Model | Committee) -> None:
        if not isinstance(reader, Model | Committee):
            raise UsageError(f"reader must be a Model or a Committee, got {described(reader)}")
        self.reader = reader
        self.classes, self.card = reader.classes, reader.card

    def answers(self, images: Array) -> Iterator[Array]:
        first = self.reader.members[0] if isinstance(self.reader, Committee) else self.reader
        images = first.check_images(images)
        if 1 in images.shape[1:]:
            raise UsageError(f"pictures to look at from several places must come as (N, H, W), got {images.shape}")
        for move in MOVES:
            yield softmax(self.reader.logits(moved(images, *move)).astype(np.float64))

    def __repr__(self) -> str:
        return f"<Shifted, {len(MOVES)} views: {self.reader!r}>"


def moved(images: Array, down: int, right: int) -> Array:
    """Every picture moved as a whole; what comes in is empty paper        images, result: uint8 (N, H, W)"""
    if not down and not right:
        return images
    _, H, W = images.shape
    result = np.zeros_like(images)
    to_rows, to_columns = slice(max(0, down), H + min(0, down)), slice(max(0, right), W + min(0, right))
    rows, columns = slice(max(0, -down), H + min(0, -down)), slice(max(0, -right), W + min(0, -right))
    result[:, to_rows, to_columns] = images[:, rows, columns]
    return result


#: Whatever reads pictures: one model, several together, or either with several looks.
Reader = Model | Committee | Shifted
