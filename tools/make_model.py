"""Make the shipped model: [784, 128, 10], trained on full MNIST without the 5,000 digits of the bundled sample.

So the sample, all of it, can be used to show what the model does with digits that it has not seen. The model deskews,
and every epoch shows each digit as another hand might have written it, so that it reads drawings too. The weights are
rounded to float16, which halves the file. Choices are made on the sample; MNIST's test set is scored once, at the end.

    python tools/make_model.py              needs full MNIST: in the cache, or where BYHAND_DATA says
    python tools/make_model.py --choosing   score on the sample only, write nothing
"""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np

import byhand
from byhand.data import Dataset
from byhand.model import file as modelfile
from byhand.model.preparation import Preparation
from byhand.training import Recipe, fit

TARGET = Path(__file__).resolve().parents[1] / "src" / "byhand" / "model" / "digits.safetensors"
SEED = 0
RECIPE = Recipe(epochs=60, batch_size=128, learning_rate=0.1, augment="default", ema_decay=0.999)


def without(data: Dataset, others: list[Dataset]) -> Dataset:
    """The pictures of `data` that are in none of the others."""
    seen = {hashlib.sha256(image.tobytes()).digest() for other in others for image in other.images}
    return data[np.array([hashlib.sha256(image.tobytes()).digest() not in seen for image in data.images])]


def rounded(model: byhand.Model) -> None:
    """Round every parameter to float16, in place."""
    model.network.parameters[...] = model.network.parameters.astype(np.float16)


def main(choosing: bool) -> int:
    mnist, sample = byhand.load("mnist"), byhand.load("mnist-5k")
    train = without(mnist.train, [sample.train, sample.test])
    unseen = Dataset(
        np.concatenate([sample.train.images, sample.test.images]),
        np.concatenate([sample.train.labels, sample.test.labels]),
        name=sample.name,
    )
    model = byhand.Model([784, 128, 10], seed=SEED, preparation=Preparation.standard(deskew=True), output_scale=0.1)
    began = time.perf_counter()
    history = fit(model, train, recipe=RECIPE, seed=SEED, validation_data=unseen)
    seconds = time.perf_counter() - began
    print(history, f"{seconds:.0f} s")
    rounded(model)
    figures = {"sample": model.accuracy(unseen)}
    if not choosing:
        figures["mnist_test"] = model.accuracy(mnist.test)
    print(figures)
    if choosing:
        return 0
    network = model.network
    content = modelfile.Content(
        tensors={name: tensor.astype(np.float16) for name, tensor in network.named()},
        architecture=network.config(),
        preparation=model.preparation.config(),
        classes=model.classes,
        metadata={
            "name": "the shipped model",
            "about": "Reads handwritten digits. A plain network of one hidden layer, made by byhand from MNIST.",
            "data": f"MNIST's training set without the 5,000 digits of the bundled sample: {len(train):,} digits",
            "data_license": "MNIST: Y. LeCun, C. Cortes and C. Burges, CC BY-SA 3.0",
            "recipe": RECIPE.config(),
            "seed": SEED,
            "accuracy": {name: round(share, 4) for name, share in figures.items()},
            "weights": "trained in float32, then rounded to float16; the figures are those of the rounded weights",
            "made_by": "tools/make_model.py",
        },
    )
    modelfile.write(TARGET, content)
    print(f"{TARGET.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main("--choosing" in sys.argv[1:]))
