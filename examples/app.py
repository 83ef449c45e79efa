"""The 784-10-10 program: train on everything at once, then look at single predictions.

    python examples/app.py

It reads `mnist_train.csv` and `mnist_test.csv` from the working folder, or else whatever MNIST byhand finds, the
bundled sample included, and says which. The rows are shuffled, and the first 1,000 are kept aside as the dev set.
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
    """Load, shuffle, train, measure, show."""
    options = parse()
    rng = np.random.default_rng(options.seed)
    digits = byhand.load("mnist_train.csv" if Path("mnist_train.csv").exists() else None)
    print(f"{len(digits.train):,} pictures to learn from, {len(digits.test):,} to test: {digits.source}")

    X, Y = columns(digits.train)
    order = rng.permutation(len(Y))
    dev, train = order[:1000], order[1000:]
    X_train, Y_train, X_dev, Y_dev = X[:, train], Y[train], X[:, dev], Y[dev]
    X_test, Y_test = columns(digits.test)

    W1, b1, W2, b2 = gradient_descent(X_train, Y_train, options.alpha, options.iterations, rng=rng)
    for name, pictures, labels in (("dev", X_dev, Y_dev), ("test", X_test, Y_test)):
        accuracy = get_accuracy(make_predictions(pictures, W1, b1, W2, b2), labels)
        print(f"{name} accuracy: {with_half_width(accuracy, len(labels))}")

    folder = options.pictures
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for index in range(4):
        file = None if folder is None else folder / f"prediction-{index}.png"
        test_prediction(index, W1, b1, W2, b2, X=X_test, Y=Y_test, picture=file)


def columns(dataset: byhand.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """X (784, m), pixels from 0 to 1, and Y (m,): one picture a column."""
    return (dataset.images.reshape(len(dataset), -1) / 255).T, dataset.labels


def with_half_width(accuracy: float, pictures: int) -> str:
    """The accuracy, in no more digits than so many pictures can tell: ± 1.96 √(p(1 − p) / n).

    With 1,000 pictures that is about two points, so a tenth of a percent means nothing.
    """
    half = 196 * (accuracy * (1 - accuracy) / pictures) ** 0.5
    return f"{100 * accuracy:.0f} % ± {half:.1f} points (95 %, {pictures:,} pictures)"


def parse() -> argparse.Namespace:
    """The command line; without arguments it is the run of the text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=500, metavar="N", help="steps to take (500)")
    parser.add_argument("--alpha", type=float, default=0.1, help="the learning rate (0.1)")
    parser.add_argument("--seed", type=int, help="the same numbers each time (otherwise new ones)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw into files there, not on the screen")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ByhandError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
