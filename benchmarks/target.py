"""Time to 98 %: a whole process, from the start of Python to the first model with a test accuracy of 98 %.

    python -m benchmarks.target NAME FOLDER

runs one contestant and prints the accuracy it reached. Each peer runs twice: once as its documentation teaches (raw
pixels, Adam, its own way of feeding batches), once with byhand's own recipe and with images that are deskewed already.
A peer is scored after every epoch and may stop at the first that reaches the target; byhand's recipe was chosen
beforehand, on a validation split, and is scored once.
"""

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rounds import PAUSE, Log, in_turn, speedups, spread
from byhand.data import load
from byhand.data.handwriting.deskew import deskew
from byhand.errors import UsageError
from byhand.nn.arrays import Array
from byhand.threads import processors

TARGET = 0.98
#: Maximum number of epochs: then the target counts as not reached.
PATIENCE = 30
#: byhand's recipe: hidden units, epochs, batch size, maximum learning rate. Chosen on a validation split.
HIDDEN, EPOCHS, BATCH, PEAK = 128, 3, 128, 0.1

Data = tuple[Array, Array, Array, Array]


def byhand_itself(folder: Path) -> float:
    """As in the README: load, fit, score. The data come from byhand's cache, as in every training but the first."""
    import byhand
    from byhand.model.preparation import Preparation

    digits = byhand.load("mnist", offline=True)
    model = byhand.Model([784, HIDDEN, 10], preparation=Preparation.standard(deskew=True), output_scale=0.1)
    byhand.fit(model, digits.train, epochs=EPOCHS, batch_size=BATCH, learning_rate=PEAK, augment="none", seed=0)
    return model.accuracy(digits.test)


def torch_as_taught(folder: Path) -> float:
    """The quickstart's network and DataLoader, with Adam, because its SGD at 0.001 would take a hundred epochs."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    X, y, X_test, y_test = (torch.from_numpy(part) for part in raw(folder))
    network = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer, loss = torch.optim.Adam(network.parameters()), nn.CrossEntropyLoss()

    def epoch() -> float:
        for images, labels in DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True):
            optimizer.zero_grad()
            loss(network(images), labels).backward()
            optimizer.step()
        with torch.no_grad():
            return float((network(X_test).argmax(1) == y_test).float().mean())

    return until_target(epoch)


def torch_with_our_recipe(folder: Path) -> float:
    """The same network, data and schedule as byhand's, fed from one tensor."""
    import torch
    from torch import nn

    torch.set_num_threads(len(processors()))
    X, y, X_test, y_test = (torch.from_numpy(part) for part in prepared(folder))
    network = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    steps = -(-len(X) // BATCH)
    optimizer = torch.optim.SGD(network.parameters(), lr=PEAK, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=EPOCHS * steps, cycle_momentum=False)
    loss = nn.CrossEntropyLoss()
    with torch.no_grad():
        for layer in (network[0], network[2]):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        network[2].weight *= 0.1
    for _ in range(EPOCHS):
        order = torch.randperm(len(X))
        for index in order.split(BATCH):
            optimizer.zero_grad()
            loss(network(X[index]), y[index]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return float((network(X_test).argmax(1) == y_test).float().mean())


def jax_as_taught(folder: Path) -> float:
    """The tutorial's network and batches, a jitted update per batch, with Adam in place of its plain step."""
    return jax_trained(raw(folder), [784, 512, 512, 10], optimizer="adam", rate=0.001, whole_epochs=False)


def jax_with_our_recipe(folder: Path) -> float:
    """The same network, data and schedule as byhand's, the whole epoch jitted."""
    return jax_trained(prepared(folder), [784, HIDDEN, 10], optimizer="momentum", rate=PEAK, whole_epochs=True)


def jax_trained(data: Data, sizes: list[int], *, optimizer: str, rate: float, whole_epochs: bool) -> float:
    """Train until the target accuracy, or for byhand's number of epochs; return the accuracy."""
    import jax
    import jax.numpy as jnp

    X, y, X_test, y_test = (jnp.asarray(part) for part in data)
    rng = np.random.default_rng(0)
    scales = [1.0] * (len(sizes) - 2) + [0.1 if whole_epochs else 1.0]
    parameters = [
        (jnp.asarray(rng.standard_normal((n, m)) * np.sqrt(2 / n) * scale, jnp.float32), jnp.zeros(m))
        for n, m, scale in zip(sizes[:-1], sizes[1:], scales, strict=True)
    ]
    total = EPOCHS * -(-len(X) // BATCH)

    def logits(parameters: Any, X: Any) -> Any:
        for W, b in parameters[:-1]:
            X = jax.nn.relu(X @ W + b)
        return X @ parameters[-1][0] + parameters[-1][1]

    def loss(parameters: Any, X: Any, y: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(logits(parameters, X)), y[:, None], axis=1).mean()

    def update(state: Any, X: Any, y: Any) -> Any:
        parameters, m, v, t = state
        gradient = jax.grad(loss)(parameters, X, y)
        if optimizer == "adam":
            t = t + 1
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
            size = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            parameters = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) + 1e-8), parameters, m, v)
        else:
            share = t / total
            up = jnp.cos(jnp.pi * (1 + share / 0.3))  # one cycle: up for 30 % of the steps, then down
            down = jnp.cos(jnp.pi * (share - 0.3) / 0.7)
            size = rate * jnp.where(share < 0.3, 0.52 + 0.48 * up, 0.5 + 0.5 * down)
            m = jax.tree.map(lambda m, g: 0.9 * m + g, m, gradient)
            parameters = jax.tree.map(lambda p, g, m: p - size * (g + 0.9 * m), parameters, gradient, m)
            t = t + 1
        return parameters, m, v, t

    def batches(state: Any, X: Any, y: Any, rows: Any) -> Any:
        return jax.lax.scan(lambda state, i: (update(state, X[i], y[i]), None), state, rows)[0]

    one, many = jax.jit(update), jax.jit(batches)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = (parameters, zeros, zeros, jnp.zeros(()))

    def epoch() -> float:
        nonlocal state
        order = rng.permutation(len(X))
        whole = len(X) // BATCH * BATCH
        if whole_epochs:
            state = many(state, X, y, order[:whole].reshape(-1, BATCH))
        for index in np.split(order[whole:] if whole_epochs else order, range(BATCH, len(order), BATCH)):
            if len(index):
                state = one(state, X[index], y[index])
        return float((logits(state[0], X_test).argmax(1) == y_test).mean())

    return [epoch() for _ in range(EPOCHS)][-1] if whole_epochs else until_target(epoch)


def sklearn_as_taught(folder: Path) -> float:
    """MLPClassifier with one layer of 256 and default settings, one epoch at a time."""
    from sklearn.neural_network import MLPClassifier

    X, y, X_test, y_test = raw(folder)
    classifier = MLPClassifier((256,), random_state=0)

    def epoch() -> float:
        classifier.partial_fit(X, y, classes=np.arange(10))
        return float(classifier.score(X_test, y_test))

    return until_target(epoch)


def sklearn_with_our_recipe(folder: Path) -> float:
    """The same network and data, with Nesterov's momentum and a constant rate: it has no one-cycle schedule."""
    from sklearn.neural_network import MLPClassifier

    X, y, X_test, y_test = prepared(folder)
    classifier = MLPClassifier(
        (HIDDEN,), solver="sgd", batch_size=BATCH, learning_rate_init=PEAK / 2, momentum=0.9, alpha=0, random_state=0
    )

    def epoch() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            classifier.partial_fit(X, y, classes=np.arange(10))
        return float(classifier.score(X_test, y_test))

    return until_target(epoch)


RUNNERS: dict[str, Callable[[Path], float]] = {
    "byhand": byhand_itself,
    "PyTorch, as taught": torch_as_taught,
    "JAX, as taught": jax_as_taught,
    "scikit-learn, as taught": sklearn_as_taught,
    "PyTorch, our recipe": torch_with_our_recipe,
    "JAX, our recipe": jax_with_our_recipe,
    "scikit-learn, our recipe": sklearn_with_our_recipe,
}


def until_target(epoch: Callable[[], float]) -> float:
    """Train until the target accuracy is reached; return the accuracy."""
    accuracy = 0.0
    for _ in range(PATIENCE):
        accuracy = epoch()
        if accuracy >= TARGET:
            break
    return accuracy


def raw(folder: Path) -> Data:
    """Load pixels from 0 to 1 from an .npz of bytes            (M, 784) float32, (M,) int64"""
    return read(folder / "mnist.npz", lambda images: images.reshape(len(images), -1).astype(np.float32) / 255)


def prepared(folder: Path) -> Data:
    """Deskewed images, standardized to mean 0 and standard deviation 1"""
    return read(
        folder / "straight.npz",
        lambda images: (images.reshape(len(images), -1).astype(np.float32) / 255 - 0.1307) / 0.3081,
    )


def read(file: Path, scaled: Callable[[Array], Array]) -> Data:
    """The four arrays of an .npz"""
    with np.load(file) as arrays:
        x_train, x_test = scaled(arrays["x_train"]), scaled(arrays["x_test"])
        return x_train, arrays["y_train"].astype(np.int64), x_test, arrays["y_test"].astype(np.int64)


def write_data(folder: Path) -> None:
    """Write the two files that the peers read."""
    train, test = load("mnist", offline=True)
    straight = deskew(train.images), deskew(test.images)
    for name, (x_train, x_test) in {"mnist": (train.images, test.images), "straight": straight}.items():
        np.savez(folder / f"{name}.npz", x_train=x_train, y_train=train.labels, x_test=x_test, y_test=test.labels)


def benchmark(folder: Path, rounds: int, log: Log, names: Sequence[str] = tuple(RUNNERS)) -> dict[str, Any]:
    """Seconds of the whole process of each, in turns, and speedups."""
    write_data(folder)
    times: dict[str, list[float]] = {name: [] for name in names}
    accuracies: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in in_turn(list(names), number):
            time.sleep(PAUSE)
            began = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks.target", name, str(folder)]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            times[name].append(time.perf_counter() - began)
            if ended.returncode:
                raise UsageError(f"{name} failed: {ended.stderr.strip().splitlines()[-1]}")
            accuracies[name].append(float(ended.stdout.split()[-1]))
            log(f"  {name}: {times[name][-1]:.2f} s, {accuracies[name][-1]:.2%}")
    return {
        "target": TARGET,
        "seconds": {name: spread(values) for name, values in times.items()},
        "accuracy": {name: spread(values) for name, values in accuracies.items()},
        "times_as_fast_as": speedups(times),
    }


if __name__ == "__main__":
    print(RUNNERS[sys.argv[1]](Path(sys.argv[2])))
