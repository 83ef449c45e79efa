"""Make the bundled model: [784, 128, 10], trained on MNIST without the 5,000 digits of the bundled sample.

The sample is the held-out set: settings are chosen on it, and it shows the model's predictions for new digits. The test
set of MNIST is evaluated once, at the end. The model deskews, and is trained with augmentation, so that it can also
read drawings. The weights are rounded to float16, which halves the file.

    python tools/make_model.py              needs full MNIST, in the cache or in the folder BYHAND_DATA
    python tools/make_model.py --choosing   evaluate on the sample only, write nothing
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
    """Return the images of `data` that are in none of the others."""
    excluded = {hashlib.sha256(image.tobytes()).digest() for other in others for image in other.images}
    return data[np.array([hashlib.sha256(image.tobytes()).digest() not in excluded for image in data.images])]


def rounded(model: byhand.Model) -> None:
    """Round every parameter to float16, in place."""
    model.network.parameters[...] = model.network.parameters.astype(np.float16)


def main(choosing: bool) -> int:
    mnist, sample = byhand.load("mnist"), byhand.load("mnist-5k")
    train = without(mnist.train, [sample.train, sample.test])
    held_out = Dataset(
        np.concatenate([sample.train.images, sample.test.images]),
        np.concatenate([sample.train.labels, sample.test.labels]),
        name=sample.name,
    )
    model = byhand.Model([784, 128, 10], seed=SEED, preparation=Preparation.standard(deskew=True), output_scale=0.1)
    start = time.perf_counter()
    history = fit(model, train, recipe=RECIPE, seed=SEED, validation_data=held_out)
    seconds = time.perf_counter() - start
    print(history, f"{seconds:.0f} s")
    rounded(model)
    accuracies = {"sample": model.accuracy(held_out)}
    if not choosing:
        accuracies["mnist_test"] = model.accuracy(mnist.test)
    print(accuracies)
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
            "accuracy": {name: round(share, 4) for name, share in accuracies.items()},
            "weights": "trained in float32, then rounded to float16; the figures are those of the rounded weights",
            "made_by": "tools/make_model.py",
        },
    )
    modelfile.write(TARGET, content)
    print(f"{TARGET.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main("--choosing" in sys.argv[1:]))
