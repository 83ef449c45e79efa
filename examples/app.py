"""The 784-10-10 program: train on the whole training set, then show single predictions.

    python examples/app.py

It reads `mnist_train.csv` and `mnist_test.csv` from the working folder, or else MNIST as `byhand.load()` finds it, and
prints the source. The rows are shuffled, and the first 1,000 are the held-out dev set.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import byhand
from byhand.errors import ByhandError
from byhand.reference.two_layer import (
    get_accuracy,
    gradient_descent,
    make_predictions,
    test_prediction,
)


def main() -> None:
    """Load and shuffle the data, train, and print accuracies and predictions."""
    options = parse()
    rng = np.random.default_rng(options.seed)
    digits = byhand.load("mnist_train.csv" if Path("mnist_train.csv").exists() else None)
    print(f"{len(digits.train):,} training images, {len(digits.test):,} test images: {digits.source}")

    X, Y = columns(digits.train)
    order = rng.permutation(len(Y))
    dev, train = order[:1000], order[1000:]
    X_train, Y_train, X_dev, Y_dev = X[:, train], Y[train], X[:, dev], Y[dev]
    X_test, Y_test = columns(digits.test)

    W1, b1, W2, b2 = gradient_descent(X_train, Y_train, options.alpha, options.iterations, rng=rng)
    for name, X, Y in (("dev", X_dev, Y_dev), ("test", X_test, Y_test)):
        accuracy = get_accuracy(make_predictions(X, W1, b1, W2, b2), Y)
        print(f"{name} accuracy: {with_half_width(accuracy, len(Y))}")

    folder = options.pictures
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for index in range(4):
        file = None if folder is None else folder / f"prediction-{index}.png"
        test_prediction(index, W1, b1, W2, b2, X=X_test, Y=Y_test, picture=file)


def columns(dataset: byhand.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return X (784, m), one image per column with pixels from 0 to 1, and Y (m,)."""
    return (dataset.images.reshape(len(dataset), -1) / 255).T, dataset.labels


def with_half_width(accuracy: float, n: int) -> str:
    """Return the accuracy p with its 95 % confidence interval, ± 1.96 √(p(1 − p) / n): about 2 points for n = 1,000."""
    half = 196 * (accuracy * (1 - accuracy) / n) ** 0.5
    return f"{100 * accuracy:.0f} % ± {half:.1f} points (95 %, {n:,} images)"


def parse() -> argparse.Namespace:
    """Parse the command line. The defaults are the run of the assignment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--iterations", type=int, default=500, metavar="N", help="number of steps (500)")
    add("--alpha", type=float, default=0.1, help="learning rate (0.1)")
    add("--seed", type=int, help="random seed")
    add("--pictures", type=Path, metavar="FOLDER", help="write plots to this folder instead of the screen")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ByhandError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
