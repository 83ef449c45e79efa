"""The gradient check of a trained model: does `backward` give the slope that `forward` has, at these very weights?

The check itself is `byhand.nn.gradcheck`; here it gets a model's network, some of its pictures and its loss.
"""

import numpy as np

from byhand.data import Dataset
from byhand.model import Model
from byhand.nn.gradcheck import GradCheck, gradcheck
from byhand.nn.losses import Loss
from byhand.nn.noise import Moment
from byhand.threads import blas_threads

#: Pictures in the batch, and places looked at in each tensor: fewer where each costs more.
SAMPLES, ELEMENTS, FEW_ELEMENTS = 4, 50, 10
LARGE = 500_000


def check_gradients(model: Model, data: Dataset, *, loss: Loss | None = None, seed: int = 0) -> GradCheck:
    """Check the gradient of every parameter on the first pictures of `data`, as in a step of training, in float64."""
    batch = data[:SAMPLES]
    images = model.check_images(batch.images)
    with blas_threads(1):  # thousands of small products: threads would wait for one another
        return gradcheck(
            model.network,
            model.preparation(images, np.float64),
            batch.labels,
            loss=loss,
            rng=np.random.default_rng(seed),
            at=Moment(seed, 0),
            elements=ELEMENTS if model.network.size < LARGE else FEW_ELEMENTS,
        )
