"""The model: a network with its preparation and class names.

    model = Model([784, 128, 10], seed=0)
    model.predict(images)            # class numbers
    model.save("digits.safetensors")

`Reader` is the base class of models and ensembles.
"""

import html
import os
import threading
import unicodedata
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

import byhand
from byhand import checks
from byhand.data import Dataset, Sample, TrainTest
from byhand.data.dataset import LOW_RANGE, check_dataset
from byhand.data.handwriting import SIZE
from byhand.errors import ModelFileError, UsageError, short_repr
from byhand.files import StrPath
from byhand.model import file as modelfile
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array, Cache
from byhand.nn.backprop import Pass
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dropout, Layer
from byhand.nn.losses import softmax
from byhand.nn.network import (
    Network,
    float_type,
    layers_from_config,
    layers_of,
    number_of,
    parameter_shapes,
    statistics_shapes,
)
from byhand.nn.rng import Rng
from byhand.schema import checked
from byhand.text import Lines, did_you_mean
from byhand.threads import for_each

#: Maximum length of a class name.
MAX_NAME = 200
#: The model that is installed with byhand, written by `tools/make_model.py`.
SHIPPED = "digits.safetensors"
#: The model in the folder of a run.
RUN_FILE = "model.safetensors"


#: Names in other libraries, and what to type here.
ELSEWHERE = {
    **dict.fromkeys(("score", "test", "eval_accuracy"), "accuracy"),
    **dict.fromkeys(("compile", "train_on_batch"), "byhand.fit(model, data, optimizer=…, loss=…)"),
    **dict.fromkeys(("train", "fit_generator", "partial_fit"), "byhand.fit"),
    **dict.fromkeys(("weights", "get_weights", "state_dict", "parameters", "coefs_"), "network.parameters"),
    **dict.fromkeys(("load_weights", "load_state_dict"), "byhand.load_model"),
    **dict.fromkeys(("layers", "forward"), "network"),
    **dict.fromkeys(("count_params", "num_parameters"), "size"),
    **dict.fromkeys(("predict_classes", "predict_digit"), "predict"),
    "predict_log_proba": "logits",
    "decision_function": "logits",
    "history": "history = byhand.fit(model, data)",
}


class Reader(ABC):
    """Base class of models, ensembles, and averages over shifts.

    `metadata` describes the training: data, settings, results.
    """

    classes: tuple[str, ...]
    metadata: dict[str, Any]

    @property
    @abstractmethod
    def models(self) -> "tuple[Model, ...]":
        """The models of an ensemble, or the model itself."""

    @abstractmethod
    def logits(self, images: Array) -> Array:
        """Return the scores before softmax    images: uint8 (N, H, W) or (N, D) → (N, K)

        A model that was trained on floats takes floats (N, D). A single image (H, W) counts as N = 1.
        """

    def probabilities(self, images: Array) -> Array:
        """Return the probabilities of the classes    images: uint8 (N, H, W) or (N, D) → (N, K)"""
        return softmax(self.logits(images))

    def predict(self, images: Array) -> Array:
        """Return class numbers    images: uint8 (N, H, W) or (N, D) → (N,)"""
        classes: Array = self.logits(images).argmax(axis=1)
        return classes

    @property
    def thresholds(self) -> tuple[float, float] | None:
        """Probabilities below which a reading is not sure and no digit; None if the model has not learned non-digits.

        The first is for the most likely class, the second for the two most likely classes together.
        """
        found = self.models[0].metadata.get("thresholds")
        if not isinstance(found, list | tuple) or len(self.models) > 1 or len(self.classes) < 2:
            return None
        sure, digit = (checks.number("a threshold", value, 0, 1) for value in found)
        return sure, digit

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height and width of the images, and for color their 3 channels."""
        return self.models[0].image_shape

    @property
    def is_color(self) -> bool:
        """True if the images have three channels."""
        return len(self.image_shape) == 3

    @property
    def input(self) -> str:
        """The kind of input, one of `byhand.model.preparation.INPUTS`: it decides how a picture is prepared."""
        is_small = self.image_shape == (SIZE, SIZE)
        return self.models[0].preparation.input or ("handwriting" if is_small else "image")

    def predict_proba(self, images: Array) -> Array:
        """Return the same as `probabilities`, under scikit-learn's name."""
        return self.probabilities(images)

    def evaluate(self, data: Dataset, labels: Any = None) -> "byhand.Evaluation":
        """Return the accuracy, the loss and the mistakes on a data set: `byhand.evaluate(model, data)`."""
        if labels is not None or isinstance(data, tuple | list):
            raise UsageError("evaluate needs a Dataset, got arrays: use model.accuracy(X, y)")
        return byhand.evaluate(self, data)

    def accuracy(self, data: Any, labels: Any = None) -> float:
        """Return the fraction of correct predictions on a data set, or on X and y like those of `fit`."""
        if labels is not None:
            data = (data, labels)
        if isinstance(data, tuple | list) and len(data) == 2:
            predicted, labels = self.predict(data[0]), label_numbers(self.classes, data[1])
            if labels.ndim == 2:  # one-hot
                labels = labels.argmax(axis=1)
            if labels.shape != predicted.shape:
                raise UsageError(f"y must have the shape {predicted.shape}, got {labels.shape}")
            return float(np.mean(predicted == labels))
        if len(check_dataset(data)) == 0:
            raise UsageError("accuracy needs at least one image, got an empty data set")
        check_classes(self.classes, data)
        return float(np.mean(self.predict(data.images) == data.labels))

    @property
    def architecture(self) -> str:
        """The sizes of the layers: 784-128-10, or for an ensemble 3 × 784-128-10."""
        shapes = [model.network.architecture for model in self.models]
        if len(shapes) > 1 and len(set(shapes)) == 1:
            return f"{len(shapes)} × {shapes[0]}"
        return " + ".join(shapes)

    @property
    def size(self) -> int:
        """The number of parameters of all models."""
        return sum(model.network.size for model in self.models)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the layers, of an ensemble those of the first member."""
        network = self.models[0].network
        layers = network.layers
        maps = [f"{layer.maps}@{layer.size}/{layer.stride}" for layer in layers if isinstance(layer, Convolution)]
        activations = [layer.function.name for layer in layers if isinstance(layer, Activation)]
        dropouts = [f"{layer.rate:g}" for layer in layers if isinstance(layer, Dropout)]
        return {
            "maps": ",".join(maps) or "none",
            "activation": ", ".join(dict.fromkeys(activations)) or "none",
            "dropout": ", ".join(dict.fromkeys(dropouts)) or "0",
            "batch norm": "yes" if any(isinstance(layer, BatchNorm) for layer in layers) else "no",
            "init": ", ".join(dict.fromkeys(layer.init for layer in network.parametric_layers)),
        }

    if not TYPE_CHECKING:  # which would accept any name

        def __getattr__(self, name: str) -> Any:
            hint = "" if name.startswith("_") else did_you_mean(name, known_names(self), ELSEWHERE)
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    @property
    def card(self) -> dict[str, Any]:
        """Deprecated name of `metadata`."""
        warnings.warn("card is deprecated, use metadata", DeprecationWarning, stacklevel=2)
        return self.metadata

    @card.setter
    def card(self, metadata: dict[str, Any]) -> None:
        warnings.warn("card is deprecated, use metadata", DeprecationWarning, stacklevel=2)
        self.metadata = metadata


class Model(Reader):
    """A network with its preparation and class names."""

    def __init__(
        self,
        network: Network | Sequence[int] | Sequence[Layer],
        *more: int,
        seed: int = 0,
        preparation: Preparation | None = None,
        classes: Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
        dtype: DTypeLike = np.float32,
        rng: Rng | None = None,
        **network_settings: Any,
    ) -> None:
        if more:
            sizes = ", ".join(map(str, (network, *more)))
            raise UsageError(f"sizes must be one list: use Model([{sizes:.60}])")
        if "card" in network_settings:
            warnings.warn("card is deprecated, use metadata", DeprecationWarning, stacklevel=2)
            metadata = network_settings.pop("card")
        if not isinstance(network, Network):
            layers = layers_of(network, **network_settings)
            check_memory(number_of(parameter_shapes(layers)), float_type(dtype))
            network = Network(layers, rng=rng or np.random.default_rng(checks.seed(seed)), dtype=dtype)
        elif network_settings:
            raise UsageError(f"settings need sizes or layers, not a Network, got {', '.join(network_settings)}")
        if not isinstance(preparation, Preparation | None):
            raise UsageError(f"preparation must be a Preparation, got {short_repr(preparation)}")
        if not isinstance(metadata, dict | None):
            raise UsageError(f"metadata must be a dictionary, got {short_repr(metadata)}")
        self.network = network
        self.preparation = preparation or Preparation()
        self.classes = tuple(classes) if classes is not None else tuple(map(str, range(network.out_size)))
        self.metadata = dict(metadata or {})
        if len(self.classes) != network.out_size:
            raise UsageError(f"classes must name the network's {network.out_size} outputs, got {len(self.classes)}")
        if odd := [name for name in self.classes if not is_name(name)]:
            raise UsageError(f"classes must be names of at most {MAX_NAME} characters, got {odd[0]!r:.60}")

    @property
    def models(self) -> "tuple[Model, ...]":
        return (self,)

    @property
    def image_shape(self) -> tuple[int, ...]:
        first, size = self.network.parametric_layers[0], self.network.in_size
        if self.preparation.shape is not None:
            return self.preparation.shape
        if isinstance(first, Convolution):
            return first.height, first.width * first.channels
        side = round(size**0.5)
        return (side, side) if side * side == size else (1, size)

    def logits(self, images: Array) -> Array:
        images = self.check_images(images)

        def inputs(rows: slice, cache: Cache) -> Array:
            if self.input == "floats":
                taken: Array = images[rows]
                return taken
            block = self.preparation.pictures(images[rows])
            X = cache.new("X", len(block), self.network.in_size)
            return self.preparation.to_floats(block.reshape(X.shape), X)

        return forward_in_blocks(self.network, inputs, len(images))

    def check_images(self, images: Array) -> Array:
        """Check images, and return them as uint8 (N, H, W); for a model that takes floats, as floats (N, D)."""
        if isinstance(images, Dataset | TrainTest | Sample):
            raise UsageError(f"images must be an array, got {short_repr(images)}: pass its .images")
        if isinstance(images, str | os.PathLike):
            raise UsageError(f"images must be an array, got {short_repr(images)}: use byhand.read(path, model)")
        images = checks.array("images", images)
        size = self.network.in_size
        if images.shape == (size,) or (images.shape == self.image_shape and self.image_shape[0] > 1):
            images = images[None]  # a single image
        if self.input == "floats":
            if images.dtype == np.uint8 or images.dtype.kind not in "iuf" or images.shape[1:] != (size,):
                raise UsageError(
                    f"the model was trained on floats: pass floats (N, {size}), scaled as in training; "
                    f"got {images.dtype} {images.shape}"
                )
            return np.ascontiguousarray(images, self.network.dtype)
        if images.dtype != np.uint8:
            images = self._bytes_of(images)
        if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):  # one channel, as in PyTorch or in Keras
            images = images.squeeze(1 if images.shape[1] == 1 else 3)
        is_known = images.shape[1:] == self.image_shape or images.shape[1:] == (size,)
        if not is_known and (images.ndim != 3 or self.is_color or int(np.prod(images.shape[1:])) != size):
            hint = ": use images.T" if images.ndim == 2 and images.shape[0] == size else ""
            shape = ", ".join(["N", *map(str, self.image_shape)]) if self.is_color else "N, H, W"
            raise UsageError(f"images must be ({shape}) with {size} pixels each, got {images.shape}{hint}")
        if images.ndim == 2:
            side = int(np.sqrt(size))
            if self.preparation.deskew and side * side != size and self.preparation.shape is None:
                raise UsageError(f"images to deskew must have the shape (N, H, W), got {images.shape}")
            images = images.reshape(len(images), *self.image_shape)
        return images

    def _bytes_of(self, pixels: Array) -> Array:
        """Return pixels as bytes: integers from 0 to 255, or floats from 0 to 1 that were made from bytes."""
        if pixels.dtype == bool:
            return pixels.astype(np.uint8) * np.uint8(255)
        low, high = (pixels.min(), pixels.max()) if pixels.dtype.kind in "iuf" and pixels.size else (1, 0)
        if 1 < high <= LOW_RANGE and low >= 0:  # `byhand.load` would scale them
            hint = f"for pixels from 0 to {LOW_RANGE}, use np.rint(images * 255 / {LOW_RANGE})"
            raise UsageError(f"images must be bytes 0–255 (uint8), got {pixels.dtype} up to {high:g}: {hint}")
        if low <= high and (pixels.dtype.kind == "f" or high != 1):  # integers 0 and 1 could be either
            divisor = self.preparation.divisor if pixels.dtype.kind == "f" and high <= 1 else 1
            whole: Array = np.rint(pixels * divisor)
            if low >= 0 and high <= 255 and np.abs(pixels * divisor - whole).max() < 1e-3:
                return np.minimum(whole, 255).astype(np.uint8)
        has_nan = pixels.dtype.kind == "f" and np.isnan(pixels).any()
        raise UsageError(
            f"images must be bytes 0–255 (uint8), or floats from 0 to 1 that are bytes / {self.preparation.divisor}; "
            f"the model scales them itself; got {'NaN' if has_nan else pixels.dtype}"
        )

    def save(self, path: StrPath) -> None:
        """Write the model to a safetensors file, atomically."""
        content = modelfile.Content(
            dict([*self.network.named(), *self.network.named_statistics()]),
            architecture=self.network.config(),
            preparation=self.preparation.config(),
            classes=self.classes,
            metadata=self.metadata,
        )
        modelfile.write(path, content)

    def fit(self, data: Any, labels: Any = None, **settings: Any) -> "byhand.History":
        """Train this model, and return the history: `byhand.fit(model, data, epochs=10, …)`."""
        return byhand.fit(self, data, labels, **settings)

    @classmethod
    def load(cls, path: StrPath) -> "Model":
        """Read a model file, or the model file of a run folder. It cannot contain code."""
        if (folder := Path(path)).is_dir():
            path = folder / RUN_FILE
            if not path.is_file():
                raise ModelFileError(f"{folder}: no such model file, and no run with a {RUN_FILE}")
        content = modelfile.read(path)
        with modelfile.naming(path):
            layers = layers_from_config(content.architecture)
            shapes = {name: tensor.shape for name, tensor in content.tensors.items()}
            if parameter_shapes(layers) | statistics_shapes(layers) != shapes:  # before memory is allocated
                raise UsageError("tensors must match the architecture")
            dtype = next(iter(content.tensors.values())).dtype
            with np.errstate(all="ignore"):  # the initial weights are overwritten
                network = Network(layers, rng=np.random.default_rng(0), dtype=dtype)
            for name, view in [*network.named(), *network.named_statistics()]:
                view[...] = content.tensors[name]
            return cls(
                network,
                preparation=checked(Preparation, content.preparation, "preparation"),
                classes=content.classes,
                metadata=content.metadata,
            )

    def summary(self) -> Lines:
        """Return the preparation, the layers as a table, and the classes."""
        before = f"pixels / {self.preparation.divisor}"
        if not self.preparation.is_plain:
            before += f", less {self.preparation.mean:.4g}, by {self.preparation.deviation:.4g}"
        if self.preparation.deskew:
            before = f"deskewed, {before}"
        return Lines(f"in:   {before}\n{self.network.summary()}\nout:  {' '.join(self.classes)}")

    def __repr__(self) -> str:
        return f"<Model {self.network.architecture}, {self.network.size:,} parameters, {self.network.dtype}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}\n{html.escape(self.summary())}</pre>"


# ---- inference in blocks
#
# Python threads compute blocks, with one BLAS thread each. So they divide deskewing and scaling too, and do not wait
# for one another in every product, which takes long on a busy machine.

#: Samples per block: few enough for the cache.
BLOCK = 500
#: Maximum block size for convolutions: im2col multiplies the memory, and larger blocks overflow the cache.
MAX_BLOCK_SAMPLES = 32
#: Maximum size of the im2col matrix of a block.
MAX_IM2COL_ELEMENTS = 2**22


#: The arrays for inference, per thread and network: allocation takes as long as the computation.
_passes = threading.local()


def forward_in_blocks(network: Network, inputs: Callable[[slice, Cache], Array], count: int) -> Array:
    """Return the outputs; `inputs` returns the floats of a block    → (count, K)"""
    logits = np.empty((count, network.out_size), network.dtype)

    def compute(rows: slice) -> None:
        passes = vars(_passes).setdefault("of", weakref.WeakKeyDictionary())  # freed with the network
        if network not in passes:
            passes[network] = Pass(network, needs_gradient=False), Cache(network.dtype)
        pass_, cache = passes[network]
        logits[rows] = pass_.forward(inputs(rows, cache))

    if count == 1:  # too small for any threads
        compute(slice(0, 1))
    else:
        for_each(compute, list(blocks(count, max_block_size(network, BLOCK))))
    return logits


def max_block_size(network: Network, most: int) -> int:
    """Return the block size: `most`, or less for a network with convolutions."""
    largest = max((layer.im2col_size for layer in network.layers if isinstance(layer, Convolution)), default=0)
    return min(most, MAX_BLOCK_SAMPLES, max(1, MAX_IM2COL_ELEMENTS // largest)) if largest else most


def blocks(count: int, size: int) -> Iterator[slice]:
    """Yield the slices of 0 … count that have at most `size` rows."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def known_names(reader: Reader) -> list[str]:
    """Return the public attributes and methods of a model or an ensemble."""
    return [name for name in (*vars(reader), *dir(type(reader))) if not name.startswith("_")]


def label_numbers(classes: Sequence[str], labels: Any) -> Array:
    """Return labels as class numbers (N,), from integers, whole floats, booleans or names, (N,) or (N, 1).

    Other labels, such as one-hot rows (N, K), are returned as they are.
    """
    y = checks.array("y", labels)
    if y.ndim == 2 and y.shape[1] == 1 != len(classes):
        y = y[:, 0]
    if y.ndim != 1:
        return y
    if y.dtype.kind in "OSU":
        numbers = {name: number for number, name in enumerate(classes)}
        names = [str(name).strip() for name in y.tolist()]
        if odd := [name for name in names if name not in numbers]:
            known = f"the model's classes {' '.join(classes):.60}"
            raise UsageError(f"labels must be among {known}, got {odd[0]!r:.60}: use Model(…, classes=sorted(set(y)))")
        return np.array([numbers[name] for name in names], np.int64)
    is_whole = y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.rint(y)).all()
    return y.astype(np.int64) if len(classes) > 1 and (is_whole or y.dtype.kind == "b") else y


def check_classes(known: Sequence[str], data: Dataset) -> None:
    """Reject data with other classes. Classes that are only numbered may stand for those with names."""
    if len(data.classes) != len(known):
        raise UsageError(f"data must have the model's {len(known)} classes, got {len(data.classes)}")
    numbers = tuple(map(str, range(len(known))))
    if tuple(known) != data.classes and numbers not in (tuple(known), data.classes):
        raise UsageError(
            f"data must have the model's classes {', '.join(known[:5])}, got {', '.join(data.classes[:5])}"
        )


def check_model(model: object) -> Model:
    """Return `model`, or raise an error if it is not a model."""
    if not isinstance(model, Model):
        raise UsageError(f"model must be a Model, got {short_repr(model)}: use Model(…) or Model.load(…)")
    return model


def shipped_model() -> Model:
    """Return a copy of the installed model, the default of `predict` and `play`."""
    place = resources.files("byhand.model") / SHIPPED
    if not place.is_file():
        raise ModelFileError(f"the installed model {SHIPPED} is missing: install byhand again")
    with resources.as_file(place) as path:
        return Model.load(path)


def is_name(name: Any) -> bool:
    """Return True for a class name without control characters and line breaks."""
    return (
        isinstance(name, str)
        and len(name) <= MAX_NAME
        and not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name)
    )


def check_memory(size: int, dtype: np.dtype[Any]) -> None:
    """Reject a network larger than the memory: the system would kill the process."""
    needs, has = size * (dtype.itemsize + 16), memory()  # the initializer needs two float64 per parameter
    if has is not None and needs > has:
        raise UsageError(
            f"a network must fit the memory of {has / 1e9:,.0f} GB, got {size:,} parameters, "
            f"which need {needs / 1e9:,.0f} GB"
        )


def memory() -> int | None:
    """Return the bytes of memory of this machine, or None if unknown."""
    try:
        pages = os.sysconf("SC_PHYS_PAGES")
        return os.sysconf("SC_PAGE_SIZE") * pages if pages > 0 else None
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None
