"""The model: a network together with what it needs to read a picture: the preparation before it, the names after it.

    model = Model([784, 128, 10], seed=0)
    model.predict(images)            # class numbers; `model.classes` has their names
    model.save("digits.safetensors")

This is what training changes, what a file holds (`byhand.model.file` says how) and what everything above works with.
"""

import html
import os
import unicodedata
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from byhand.data import Dataset, Digits, Sample
from byhand.data.dataset import check_dataset
from byhand.errors import UsageError, described
from byhand.model import file as modelfile
from byhand.model.inference import read
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array, Cache
from byhand.nn.initializers import Rng
from byhand.nn.layers import Layer
from byhand.nn.losses import softmax
from byhand.nn.network import Network, float_type, number_of, parameter_shapes, statistics_shapes
from byhand.nn.stacks import layers_from_config, layers_of

DIGITS = tuple("0123456789")

#: Of a class: more is not a name.
LONGEST_NAME = 200


class Model:
    """Preparation, network and class names. `card` holds what is known of its making: data, settings, figures."""

    def __init__(
        self,
        network: Network | Sequence[int] | Sequence[Layer],
        *,
        seed: int = 0,
        preparation: Preparation | None = None,
        classes: Sequence[str] | None = None,
        card: dict[str, Any] | None = None,
        dtype: DTypeLike = np.float32,
        rng: Rng | None = None,
        **network_settings: Any,
    ) -> None:
        if not isinstance(network, Network):
            layers = layers_of(network, **network_settings)
            check_memory(number_of(parameter_shapes(layers)), float_type(dtype))
            network = Network(layers, rng=rng or np.random.default_rng(check_seed(seed)), dtype=dtype)
        elif network_settings:
            raise UsageError(f"a network that is made already takes no settings, got {', '.join(network_settings)}")
        if not isinstance(preparation, Preparation | None):
            raise UsageError(
                "preparation must be a Preparation, such as Preparation(divisor=255) or Preparation.standard(), "
                f"got {described(preparation)}"
            )
        if not isinstance(card, dict | None):
            raise UsageError(f"card must be a dictionary, got {described(card)}")
        self.network = network
        self.preparation = preparation or Preparation()
        self.classes = tuple(classes) if classes is not None else default_classes(network.out_size)
        self.card = dict(card or {})
        if len(self.classes) != network.out_size:
            raise UsageError(f"classes must name the network's {network.out_size} outputs, got {len(self.classes)}")
        if odd := [name for name in self.classes if not is_name(name)]:
            raise UsageError(f"classes must be names of at most {LONGEST_NAME} characters, got {odd[0]!r:.60}")

    def logits(self, images: Array) -> Array:
        """What the network answers, before softmax               images: uint8 (N, H, W) or (N, D) → (N, K)"""
        images = self.check_images(images)

        def inputs(rows: slice, cache: Cache) -> Array:
            pictures = self.preparation.pictures(images[rows])
            X = cache.new("X", len(pictures), self.network.in_size)
            return self.preparation.floats(pictures.reshape(X.shape), X)

        return read(self.network, inputs, len(images))

    def probabilities(self, images: Array) -> Array:
        """How likely each class is                               images: uint8 (N, H, W) or (N, D) → (N, K)"""
        return softmax(self.logits(images))

    def predict(self, images: Array) -> Array:
        """The most likely class, as a number                     images: uint8 (N, H, W) or (N, D) → (N,)"""
        classes: Array = self.logits(images).argmax(axis=1)
        return classes

    def accuracy(self, data: Dataset) -> float:
        """The share of a data set that the model reads right."""
        return share_right(self, data)

    def check_images(self, images: Array) -> Array:
        """Bytes of the right size, or an error that says what was given instead."""
        if isinstance(images, Dataset | Digits | Sample):
            raise UsageError(f"images must be an array, such as the .images of a Dataset, got {described(images)}")
        images = np.asarray(images)
        if images.dtype != np.uint8:
            raise UsageError(f"images must be bytes 0–255 (uint8), which the model scales itself; got {images.dtype}")
        size = int(np.prod(images.shape[1:]))
        if images.ndim not in (2, 3) or size != self.network.in_size:
            raise UsageError(f"images must be (N, H, W) with {self.network.in_size} pixels each, got {images.shape}")
        if images.ndim == 2:
            side = int(np.sqrt(size))
            if self.preparation.deskew and side * side != size:
                raise UsageError(f"pictures to deskew must come as (N, H, W), got {images.shape}")
            images = images.reshape(len(images), side, side) if side * side == size else images[:, None, :]
        return images

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as one safetensors file, whole or not at all."""
        modelfile.write(
            path,
            tensors=dict([*self.network.named(), *self.network.named_statistics()]),
            architecture=self.network.config(),
            preparation=self.preparation.config(),
            classes=self.classes,
            card=self.card,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Model":
        """Read a model's file. No code in it is ever run; what is not understood is refused."""
        content = modelfile.read(path)
        with modelfile.refusing(path):
            layers = layers_from_config(content.architecture)
            if (
                parameter_shapes(layers) | statistics_shapes(layers) != content.shapes
            ):  # before any memory is taken for what the architecture claims
                raise UsageError("its tensors must be those of its architecture")
            with np.errstate(all="ignore"):  # the weights it starts with, whatever they are, are written over
                network = Network(layers, rng=np.random.default_rng(0), dtype=content.dtype)
            for name, view in [*network.named(), *network.named_statistics()]:
                view[...] = content.tensors[name]
            return cls(
                network,
                preparation=Preparation(**content.preparation),
                classes=content.classes,
                card=content.card,
            )

    def summary(self) -> str:
        """The network's layers as a table, and what happens to a picture before and after."""
        before = f"pixels / {self.preparation.divisor}"
        if not self.preparation.is_plain:
            before += f", less {self.preparation.mean:.4g}, by {self.preparation.deviation:.4g}"
        if self.preparation.deskew:
            before = f"deskewed, {before}"
        return f"in:   {before}\n{self.network.summary()}\nout:  {' '.join(self.classes)}"

    def __repr__(self) -> str:
        return f"<Model {self.network.outline}, {self.network.size:,} parameters, {self.network.dtype}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}\n{html.escape(self.summary())}</pre>"


class Predicts(Protocol):
    """Whatever names a class for each picture."""

    classes: tuple[str, ...]

    def predict(self, images: Array) -> Array: ...


def share_right(reader: Predicts, data: Dataset) -> float:
    """The share of a data set that is read right."""
    if len(check_dataset(data)) == 0:
        raise UsageError("accuracy needs at least one picture, got an empty data set")
    check_classes(reader.classes, data)
    return float(np.mean(reader.predict(data.images) == data.labels))


def check_classes(known: Sequence[str], data: Dataset) -> None:
    """Refuse data of another number of classes."""
    if len(data.classes) != len(known):
        raise UsageError(f"the model knows {len(known)} classes, the data has {len(data.classes)}")


def check_model(model: object) -> Model:
    """A model, or an error that says what was given in its place and how to come by one."""
    if not isinstance(model, Model):
        raise UsageError(
            f"model must be a Model, got {described(model)}: Model(…) makes one of a network, Model.load(…) of a file"
        )
    return model


def default_classes(count: int) -> tuple[str, ...]:
    """0, 1, 2, …: the digits where there are ten."""
    return DIGITS if count == len(DIGITS) else tuple(map(str, range(count)))


def is_name(name: Any) -> bool:
    """Whether this can stand in a line of a terminal: text without control characters or line breaks."""
    return (
        isinstance(name, str)
        and len(name) <= LONGEST_NAME
        and not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name)
    )


def check_memory(size: int, dtype: np.dtype[Any]) -> None:
    """Reject a network that can't fit this machine's memory, before a system that overcommits kills the process.

    Counted are the parameters, and twice the float64 numbers from which the initializer makes them.
    """
    needs, has = size * (dtype.itemsize + 16), memory()
    if has is not None and needs > has:
        raise UsageError(
            f"a network must fit the memory of {has / 1e9:,.0f} GB, got {size:,} parameters, "
            f"which need {needs / 1e9:,.0f} GB"
        )


def memory() -> int | None:
    """Return the bytes of memory of this machine, None where the system doesn't say."""
    try:
        pages = os.sysconf("SC_PHYS_PAGES")
        return os.sysconf("SC_PAGE_SIZE") * pages if pages > 0 else None
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None


def check_seed(seed: int) -> int:
    """A whole number from 0, or an error."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed must be an integer of at least 0, got {seed!r}")
    return int(seed)
