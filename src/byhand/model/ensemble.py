"""Ensembles: several models that read a picture together, and test-time augmentation of one by shifts.

    ensemble = Ensemble([Model.load(path) for path in paths])
    ensemble.predict(images)             # as a model does, by the mean of the members' probabilities
    ShiftAveraged(model).predict(images) # the mean over the picture and its four neighbours, a pixel away

Models trained from different seeds make different mistakes, so the mean of their probabilities is wrong less often than
any of them; and so with several views of one picture. `byhand.training.runs` loads the ensemble of a committee's run.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from byhand.errors import UsageError, short_repr
from byhand.lazy import renamed
from byhand.model.model import Model, Reader
from byhand.nn.arrays import Array
from byhand.nn.losses import softmax

__getattr__ = renamed(__name__, {"Committee": "Ensemble", "Shifted": "ShiftAveraged"})


class Averaged(Reader):
    """A reader whose probabilities are the mean of several."""

    @abstractmethod
    def member_probabilities(self, images: Array) -> Iterator[Array]:
        """Yield each member's softmax(Z), in float64             images: uint8 (N, H, W) or (N, D) → (N, K) each"""

    def probabilities(self, images: Array) -> Array:
        """P = mean over the members' probabilities               images: uint8 (N, H, W) or (N, D) → (N, K)"""
        P: Array = np.mean(list(self.member_probabilities(images)), axis=0)
        return P

    def logits(self, images: Array) -> Array:
        """ln P, of which softmax gives P again; finite, since P is raised to float64's smallest normal number"""
        P = self.probabilities(images)
        logits: Array = np.log(np.maximum(P, np.finfo(P.dtype).tiny))
        return logits

    def predict(self, images: Array) -> Array:
        """Return the most likely class, as a number              images: uint8 (N, H, W) or (N, D) → (N,)"""
        classes: Array = self.probabilities(images).argmax(axis=1)
        return classes


class Ensemble(Averaged):
    """Models with the same classes, for pictures of the same size."""

    def __init__(self, members: Iterable[Model], *, metadata: dict[str, Any] | None = None) -> None:
        if not isinstance(members, Iterable):
            raise UsageError(f"members of an ensemble must be a list of models, got {short_repr(members)}")
        self.members = members = tuple(members)
        if not members:
            raise UsageError("an ensemble needs at least 1 member, got none")
        if others := [member for member in members if not isinstance(member, Model)]:
            raise UsageError(f"members of an ensemble must be models, got {short_repr(others[0])}")
        self.metadata = dict(metadata or {})
        self.classes = members[0].classes
        for number, member in enumerate(members, start=1):
            if member.classes != self.classes or member.network.in_size != members[0].network.in_size:
                raise UsageError(
                    f"members of an ensemble must read the same pictures into the same classes, member {number} has "
                    f"{member.network.in_size} pixels and {len(member.classes)} classes, the first "
                    f"{members[0].network.in_size} and {len(self.classes)}"
                )

    @property
    def models(self) -> tuple[Model, ...]:
        return self.members

    def member_probabilities(self, images: Array) -> Iterator[Array]:
        for member in self.members:
            yield softmax(member.logits(images).astype(np.float64))

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)}, {self.size:,} parameters, the first member: {self.members[0]!r}>"


#: How far (down, to the right) a picture is moved for each view, in pixels.
MOVES = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


class ShiftAveraged(Averaged):
    """A model, or an ensemble, that reads five views of each picture: as it is, and moved by a pixel, four ways.

    It is wrong less often, for five times the work; `docs/recipes.md` says by how much.
    """

    def __init__(self, reader: Model | Ensemble) -> None:
        if not isinstance(reader, Model | Ensemble):
            raise UsageError(f"reader must be a Model or an Ensemble, got {short_repr(reader)}")
        self.reader = reader
        self.classes, self.metadata = reader.classes, reader.metadata

    @property
    def models(self) -> tuple[Model, ...]:
        return self.reader.models

    def member_probabilities(self, images: Array) -> Iterator[Array]:
        images = self.models[0].check_images(images)
        if 1 in images.shape[1:]:
            raise UsageError(f"pictures to shift must come as (N, H, W), got {images.shape}")
        for move in MOVES:
            yield softmax(self.reader.logits(moved(images, *move)).astype(np.float64))

    def __repr__(self) -> str:
        return f"<ShiftAveraged, {len(MOVES)} views: {self.reader!r}>"


def moved(images: Array, down: int, right: int) -> Array:
    """Return every picture moved as a whole; what comes in is empty       images, result: uint8 (N, H, W)"""
    _, H, W = images.shape
    margin = max(abs(down), abs(right))
    wide = np.pad(images, [(0, 0), (margin, margin), (margin, margin)])
    return wide[:, margin - down : margin - down + H, margin - right : margin - right + W]
