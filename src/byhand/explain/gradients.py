"""The gradient check of a trained model: does `backward` give the slope that `forward` has, at these very weights?

The check itself is `byhand.nn.gradcheck`; here it gets a model's network, some of its pictures and its loss.
"""

from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.model import Model
from byhand.nn.gradcheck import GradCheck, TensorCheck, gradcheck
from byhand.nn.losses import Loss
from byhand.nn.noise import StepKey
from byhand.threads import blas_threads

#: Pictures in the batch, and places looked at in each tensor: fewer where each costs more.
SAMPLES, ELEMENTS, FEW_ELEMENTS = 4, 50, 10
LARGE = 500_000
#: For tensors of which most places were on a kink: pictures and step of a second look.
FEW_SAMPLES, SHORT_STEP = 2, 1e-5


def check_gradients(model: Model, data: Dataset, *, loss: Loss | None = None, seed: int = 0) -> GradCheck:
    """Check the gradient of every parameter on the first pictures of `data`, as in a step of training, in float64.

    A convolution's weight goes into thousands of sums, and some relu among them nearly always switches. What could
    hardly be checked for that is looked at again with fewer pictures and a shorter step, which meets fewer of them.
    """

    def checked(samples: int, **settings: Any) -> GradCheck:
        batch = data[:samples]
        X = model.preparation(model.check_images(batch.images), np.float64)
        rng = np.random.default_rng(seed)
        return gradcheck(model.network, X, batch.labels, loss=loss, rng=rng, key=StepKey(seed, 0), **settings)

    with blas_threads(1):  # thousands of small products: threads would wait for one another
        found = checked(SAMPLES, elements=ELEMENTS if model.network.size < LARGE else FEW_ELEMENTS)
        if all(one.checked >= one.kinks for one in found.tensors):
            return found
        again = checked(FEW_SAMPLES, elements=FEW_ELEMENTS, step=SHORT_STEP)
    pairs = zip(found.tensors, again.tensors, strict=True)
    return GradCheck(tuple(closer(one, other, found.tolerance) for one, other in pairs), found.tolerance)


def closer(one: TensorCheck, other: TensorCheck, tolerance: float) -> TensorCheck:
    """The look that saw more, but never instead of one that found something wrong."""
    return other if one.error < tolerance and other.checked > one.checked else one
