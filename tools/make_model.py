"""Make the bundled model: three convolutions, trained on MNIST, the UCI digits, drawn shapes, and what is no digit.

It learns from MNIST without the 5,000 digits of the bundled sample, and from the pictures of
`benchmarks.training_pictures`. A non-digit gets a random label: the network then learns to give all classes the same
probability (outlier exposure: D. Hendrycks, M. Mazeika and T. Dietterich, 2019). Afterwards the logits are divided by a
temperature, fitted on digits of two writers who are not in the training set (C. Guo et al., 2017). The weights are
rounded to float16, which halves the file.

The sample is the held-out set: settings are chosen on it and on the digits of those two writers. The test set of MNIST
is evaluated once, at the end. `python -m benchmarks handwriting --strokes` draws the digits of eight other writers.

    python tools/make_model.py FOLDER              FOLDER has the UCI files; needs full MNIST, in the cache or in the
                                                   folder BYHAND_DATA; takes about 40 minutes on two cores
    python tools/make_model.py FOLDER --choosing   don't evaluate on the test set, write to build/
"""

import argparse
import hashlib
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import byhand  # noqa: E402
from benchmarks import drawn  # noqa: E402
from benchmarks import training_pictures as pictures  # noqa: E402
from byhand.data import Dataset, TrainTest  # noqa: E402
from byhand.model import file as modelfile  # noqa: E402
from byhand.model.preparation import Preparation  # noqa: E402
from byhand.nn.losses import softmax  # noqa: E402
from byhand.nn.optimizers import AdamW  # noqa: E402
from byhand.nn.schedules import OneCycle  # noqa: E402
from byhand.training import Callback, EpochRecord, Recipe, Trainer, fit  # noqa: E402

TARGET = ROOT / "src" / "byhand" / "model" / "digits.safetensors"
BUILD = ROOT / "build"
SEED = 0
RECIPE = Recipe(
    epochs=32,
    batch_size=256,
    learning_rate=0.0015,
    optimizer=AdamW(weight_decay=0.1),
    schedule=OneCycle(warmup=0.1),
    augment="shift=1,rotate=12,scale=0.15,shear=0.15,elastic=1",
    weak_augment=0.2,
    ema_decay=0.999,
    threads=1,
)
#: Below these a reading is not sure, and no digit: see `byhand.model.Reader.thresholds`.
THRESHOLDS = (0.8, 0.6)
CALIBRATION_DIGITS = 3_000
Bytes = NDArray[np.uint8]


class Log(Callback):
    def on_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        print(record, flush=True)


def new_model() -> byhand.Model:
    return byhand.Model(
        [784, 88, 10],
        seed=SEED,
        maps=((16, 4, 2), (32, 3, 1), (64, 4, 2)),
        activation="leaky_relu",
        dropout=0.2,
        output_scale=0.1,
        preparation=Preparation.standard(deskew=True),
    )


def without(data: Dataset, others: list[Dataset]) -> Dataset:
    """Return the images of `data` that are in none of the others."""
    excluded = {hashlib.sha256(image.tobytes()).digest() for other in others for image in other.images}
    return data[np.array([hashlib.sha256(image.tobytes()).digest() not in excluded for image in data.images])]


def sources_of(folder: Path, mnist: Dataset) -> pictures.Sources:
    pens = [digit for digit in pens_of(folder) if digit.writer in pictures.WRITERS]
    bitmaps, labels = drawn.read_bitmaps(folder / "optdigits-orig.tra.gz")
    return pictures.Sources(pens, bitmaps, labels, mnist.images, mnist.labels)


def pens_of(folder: Path) -> list[drawn.PenDigit]:
    return drawn.read_pen_digits(folder / "pendigits-orig.tra.gz")


def training_set(folder: Path, mnist: Dataset) -> Dataset:
    """Return MNIST and the made pictures; non-digits have random labels. Kept in build/, for it takes a while."""
    sources = sources_of(folder, mnist)
    images, labels = [mnist.images], [mnist.labels]
    rng = np.random.default_rng(SEED)
    with ProcessPoolExecutor() as pool:
        for kind, (name, (count, _)) in enumerate(pictures.KINDS.items()):
            path = BUILD / f"pictures-{kind}.npz"
            if not path.exists():
                halves = (range(0, count, 2), range(1, count, 2))  # the order of the images counts
                parts = list(pool.map(pictures.made, [sources] * 2, [kind] * 2, halves))
                made_images, made_labels = (np.concatenate(both) for both in zip(*parts, strict=True))
                np.savez(path, images=made_images, labels=made_labels)
            with np.load(path) as made:
                own = made["labels"].astype(np.int64)
                images.append(made["images"])
            own[own == pictures.NO_DIGIT] = rng.integers(0, 10, int((own == pictures.NO_DIGIT).sum()))
            labels.append(own)
            print(f"{name}: {len(own):,}", flush=True)
    return Dataset(np.concatenate(images), np.concatenate(labels), name="MNIST, UCI digits and drawings")


def calibration_set(folder: Path) -> Dataset:
    """Return digits of two writers who are not in the training set, on papers of all kinds."""
    digits = [digit for digit in pens_of(folder) if digit.writer in pictures.CALIBRATION]
    images, labels = pictures.normalized(
        pictures.calibration_digit(digits, np.random.default_rng([pictures.SEED, len(pictures.KINDS), number]))
        for number in range(CALIBRATION_DIGITS)
    )
    return Dataset(images, labels.astype(np.int64), name="writers 21 and 22")


def temperature(model: byhand.Model, data: Dataset) -> float:
    """Return the divisor of the logits with the smallest cross-entropy."""
    logits = model.logits(data.images).astype(np.float64)
    rows = np.arange(len(data))

    def loss(divisor: float) -> float:
        return -float(np.log(softmax(logits / divisor)[rows, data.labels]).mean())

    return min((float(t) for t in np.arange(0.5, 3, 0.05)), key=loss)


def finish(model: byhand.Model, divisor: float) -> None:
    """Divide the logits, then round every parameter to float16, in place."""
    W, b = list(dict(model.network.named()).values())[-2:]
    W /= divisor
    b /= divisor
    model.network.parameters[...] = model.network.parameters.astype(np.float16)


def held_out_of(sample: TrainTest) -> Dataset:
    images = np.concatenate([sample.train.images, sample.test.images])
    return Dataset(images, np.concatenate([sample.train.labels, sample.test.labels]), name=sample.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--choosing", action="store_true")
    arguments = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    mnist, sample = byhand.load("mnist"), byhand.load("mnist-5k")
    own = without(mnist.train, [sample.train, sample.test])
    train, held_out, calibration = (
        training_set(arguments.folder, own),
        held_out_of(sample),
        calibration_set(arguments.folder),
    )
    model = new_model()
    start = time.perf_counter()
    history = fit(model, train, recipe=RECIPE, seed=SEED, validation_data=calibration, callbacks=[Log()])
    print(history, f"{time.perf_counter() - start:.0f} s")
    divisor = temperature(model, calibration)
    finish(model, divisor)
    accuracies = {"sample": model.accuracy(held_out), "writers_21_22": model.accuracy(calibration)}
    if not arguments.choosing:
        accuracies["mnist_test"] = model.accuracy(mnist.test)
    print(divisor, accuracies)
    content = modelfile.Content(
        tensors={name: tensor.astype(np.float16) for name, tensor in model.network.named()},
        architecture=model.network.config(),
        preparation=model.preparation.config(),
        classes=model.classes,
        metadata={
            "name": "the shipped model",
            "about": "Reads handwritten digits of many hands and pens, and says when it is not sure. Made by byhand.",
            "data": f"MNIST's training set without the 5,000 digits of the bundled sample: {len(own):,} digits; "
            f"UCI pen digits (writers 1–20) and optical digits, drawn shapes, non-digits: {len(train) - len(own):,}",
            "data_license": "MNIST: Y. LeCun, C. Cortes and C. Burges, CC BY-SA 3.0; "
            "UCI digits: E. Alpaydin, F. Alimoglu and C. Kaynak, CC BY 4.0",
            "recipe": RECIPE.config(),
            "seed": SEED,
            "temperature": divisor,
            "thresholds": list(THRESHOLDS),
            "accuracy": {name: round(share, 4) for name, share in accuracies.items()},
            "weights": "trained in float32, then rounded to float16; the figures are those of the rounded weights",
            "made_by": "tools/make_model.py",
        },
    )
    target = BUILD / TARGET.name if arguments.choosing else TARGET
    modelfile.write(target, content)
    print(f"{target}: {target.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
