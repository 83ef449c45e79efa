"""The long runs of the reference code: `python tests/long/reference.py`, about ten minutes.

PyTorch repeats the worked run of the L-layer assignment with its own differentiation and no shared code, and so does
`byhand train`: all twenty losses and both accuracies must agree. The 784-10-10 run takes 500 iterations on 59,000
images with thirteen seeds; the median of its results must be inside the expected range. Needs the full MNIST and the
extra `bench`. Results go to benchmarks/results/reference.json.
"""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import byhand
from byhand.files import write_text
from byhand.reference import l_layer, two_layer

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "reference.json"
#: Range of the training accuracy of seven independent runs of the program, at iterations 490 to 500.
BAND = (0.832, 0.852)
SEEDS = 13


def printed_by(function, *args, **keywords):
    """Return the result of the function, and the lines that it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        returned = function(*args, **keywords)
    return returned, out.getvalue().splitlines()


def worked_run_by_autograd(X, labels, X_test, labels_test):
    """Return losses every 100 iterations and the two accuracies, differentiated by PyTorch; samples are rows."""
    stream = np.random.RandomState(2)
    W1, W2 = stream.randn(45, 784) * 0.1, stream.randn(10, 45) * 0.1
    start = (W1, np.zeros(45), W2, np.zeros(10))
    parameters = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in start]
    X, X_test = (torch.tensor(pictures, dtype=torch.float64) for pictures in (X, X_test))
    labels, labels_test = torch.tensor(labels), torch.tensor(labels_test)

    def logits(pictures):
        W1, b1, W2, b2 = parameters
        return torch.relu(pictures @ W1.T + b1) @ W2.T + b2

    optimizer, losses = torch.optim.SGD(parameters, lr=0.0075), []
    for i in range(2000):
        loss = torch.nn.functional.cross_entropy(logits(X), labels)
        if i % 100 == 0:
            losses.append(f"{loss.item():f}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracies = [
            (logits(pictures).argmax(1) == wanted).double().mean().item()
            for pictures, wanted in ((X, labels), (X_test, labels_test))
        ]
    return losses, accuracies


def worked_run_by_the_command():
    """Return the losses every 100 iterations and the two accuracies of `byhand train`."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--preset", "l-layer", "--dtype", "float64", "--data", "mnist", "--quiet", "--json", "--run", "run"]
        command = [sys.executable, "-m", "byhand", "train", *words]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        records = [json.loads(line) for line in Path(folder, "run", "metrics.jsonl").read_text("utf-8").splitlines()]
        model = byhand.Model.load(Path(folder, "run", "model.safetensors"))
    losses = [f"{record['loss']:f}" for record in records if record["step"] % 100 == 0 and record["step"] < 2000]
    return losses, [model.accuracy(byhand.load("mnist").train[:5000]), json.loads(done.stdout)["test_accuracy"]]


def main() -> int:
    """Run everything, write the results, and return 1 if anything disagrees."""
    (X, labels), _, (X_test, labels_test) = l_layer.load_data()
    X, labels = X[:5000], labels[:5000]
    Y, Y_test = l_layer.one_hot(labels), l_layer.one_hot(labels_test)
    parameters, lines = printed_by(l_layer.L_layer_model, X.T, Y, [784, 45, 10], num_iterations=2000, print_loss=True)
    losses = [line.rsplit(" ")[-1] for line in lines]
    accuracies = [
        float(printed_by(l_layer.predict, pictures.T, wanted, parameters)[1][0].rsplit(" ")[-1])
        for pictures, wanted in ((X, Y), (X_test, Y_test))
    ]
    losses_again, accuracies_again = worked_run_by_autograd(X, labels, X_test, labels_test)
    agree = losses == losses_again and np.allclose(accuracies, accuracies_again, atol=1e-12)
    print(f"worked run: {'agrees with' if agree else 'DIFFERS FROM'} autograd; {losses}, {accuracies}")
    by_the_command = worked_run_by_the_command()
    agrees_with_command = by_the_command == (losses, accuracies)
    print(f"worked run: {'agrees with' if agrees_with_command else 'DIFFERS FROM'} byhand train; {by_the_command}")

    digits = byhand.load("mnist")
    pixels, ends = (digits.train.images.reshape(-1, 784) / 255).T, []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        train = rng.permutation(60_000)[1000:]
        _, lines = printed_by(
            two_layer.gradient_descent, pixels[:, train], digits.train.labels[train], 0.1, 500, rng=rng
        )
        ends.append([float(line.rsplit(" ")[-1]) for line in lines])
        print(f"784-10-10, seed {seed}: " + ", ".join(f"{ends[-1][i]} at {10 * i}" for i in (0, 5, 10, 20, 30, 49)))
    last = sorted(run[49] for run in ends)
    inside = BAND[0] <= last[SEEDS // 2] <= BAND[1]
    print(f"784-10-10: median {last[SEEDS // 2]} of {last}, {'inside' if inside else 'OUTSIDE'} the band {BAND}")

    found = {
        "made_with": f"NumPy {version('numpy')}, PyTorch {version('torch')}",
        "worked_run": {"losses": losses, "accuracies": accuracies, "agrees_with_autograd": bool(agree)},
        "agrees_with_command": agrees_with_command,
        "two_layer": {"accuracy_every_10_iterations": ends, "at_490": last, "band": BAND, "median_inside": inside},
    }
    write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    return 0 if agree and agrees_with_command and inside else 1


if __name__ == "__main__":
    sys.exit(main())
