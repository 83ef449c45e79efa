"""The worked run of the assignment: 5,000 pictures, [784, 45, 10], 2,000 iterations, about half a minute.

    python examples/l_layer.py

The data is `mnist.pkl.gz` from the working folder, or MNIST from wherever byhand finds it. The published run prints
2.422624 at iteration 0 and 0.457054 at 1900, then 0.8774 on the 5,000 pictures and 0.8674 on the 10,000 of the test.
"""

import argparse
import sys
from pathlib import Path

from byhand.errors import ByhandError, DataMissingError
from byhand.reference.l_layer import L_layer_model, data_wrapper, predict


def main() -> None:
    """Load, train, measure; the curve of the loss goes into a picture."""
    options = parse()
    train_set_x, train_set_y, test_set_x, test_set_y = data_wrapper(sample=options.sample)
    X, Y = train_set_x[:, : options.images], train_set_y[:, : options.images]
    print(f"{X.shape[1]:,} pictures, layers {options.dimensions}")
    parameters = L_layer_model(
        X,
        Y,
        options.dimensions,
        options.learning_rate,
        options.iterations,
        print_loss=True,
        hidden=options.hidden,
        picture=options.picture,
    )
    for name, pictures, labels in (("learned from", X, Y), ("test", test_set_x, test_set_y)):
        print(f"{name}, {pictures.shape[1]:,} pictures: ", end="")
        predict(pictures, labels, parameters, hidden=options.hidden)


def parse() -> argparse.Namespace:
    """The command line; without arguments it is the run of the assignment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[784, 45, 10], metavar="N", help="784 45 10")
    parser.add_argument("--hidden", choices=["relu", "sigmoid"], default="relu", help="the hidden activation (relu)")
    parser.add_argument("--images", type=int, default=5000, metavar="N", help="how many to learn from (5000)")
    parser.add_argument("--iterations", type=int, default=2000, metavar="N", help="steps to take (2000)")
    parser.add_argument("--learning-rate", type=float, default=0.0075, metavar="RATE", help="their size (0.0075)")
    parser.add_argument("--picture", type=Path, default=Path("loss.png"), metavar="FILE", help="the curve (loss.png)")
    parser.add_argument("--sample", action="store_true", help="use the bundled pictures: no download, other numbers")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except DataMissingError as error:
        sys.exit(f"{Path(__file__).name}: {error}; here that is --sample")
    except ByhandError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
