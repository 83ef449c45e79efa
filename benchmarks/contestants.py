"""The contestants: byhand, the peers as their documentation teaches them, and the assignment's own code.

Flat NumPy and JAX have files of their own. Each peer is imported when it is made, in a process of its own.
"""

import itertools
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.flat_numpy import FlatNumPy
from benchmarks.work import COMPARED_WHOLE, Contestant, Work
from byhand import training
from byhand.data import Dataset
from byhand.errors import MissingExtraError
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.nn.optimizers import optimizer_named
from byhand.nn.schedules import Constant
from byhand.threads import processors

#: The contestant that shows byhand's overhead; the others are peers, and byhand's speedup over them is reported.
FLAT = "flat NumPy"
#: More epochs than any measurement needs.
ENDLESS = 1_000_000


class ByHand(Contestant):
    """byhand as `byhand.fit` runs it, on bytes. The trainer is called step by step, so that nothing else is timed."""

    def __init__(self, work: Work) -> None:
        pixels, labels = work.pictures
        model = Model(list(work.sizes))
        for layer, (W, b) in zip(model.network.dense, work.start, strict=True):
            layer.W[...], layer.b[...] = W, b
        recipe = training.Recipe(
            epochs=ENDLESS,
            batch_size=work.batch,
            learning_rate=work.rate,
            optimizer=optimizer_named(work.optimizer),
            schedule=Constant(),
        )
        if work.batch is not None:
            # In the first epoch all contestants take the images in their given order: undo byhand's first shuffle.
            order = np.random.default_rng([0, 1, 0]).permutation(work.images)  # that of the first epoch of seed 0
            pixels, labels = pixels[np.argsort(order)], labels[np.argsort(order)]
        self.steps = work.steps
        self.trainer = training.Trainer(model, Dataset(pixels.reshape(-1, 28, 28), labels), recipe, seed=0)

    def epoch(self, number: int) -> float:
        return sum(self.trainer.step().loss for _ in itertools.repeat(None, self.steps)) / self.steps


class Assignment(Contestant):
    """The assignment's own code, as its texts describe it: float64, samples in columns, a new array for everything.

    It is not optimized: softmax as written, an unused dH0, the loss only in every hundredth iteration.
    The hidden activation is relu, as in the texts' second network and in the other contestants.
    """

    def __init__(self, work: Work) -> None:
        if work.batch is not None or work.optimizer != "sgd":
            raise ValueError("the assignment needs the whole data as one batch, and plain gradient descent")
        X, y = work.floats(np.float64)
        self.X = X.T
        self.Y = np.zeros((work.sizes[-1], len(y)))
        self.Y[y, np.arange(len(y))] = 1
        self.parameters = {}
        for layer, (W, b) in enumerate(work.start, 1):
            self.parameters[f"W{layer}"] = W.T.astype(float)
            self.parameters[f"b{layer}"] = b[:, None].astype(float)
        self.L, self.rate = len(work.start), work.rate

    def epoch(self, number: int) -> float:
        P, L, m = self.parameters, self.L, self.X.shape[1]
        H, caches = self.X, []
        for layer in range(1, L + 1):
            Z = np.dot(P[f"W{layer}"], H) + P[f"b{layer}"]
            caches.append((H, P[f"W{layer}"], Z))
            H = np.maximum(0, Z) if layer < L else softmax(Z)
        loss = float("nan")
        if number % 100 == COMPARED_WHOLE:
            loss = float(-np.sum(self.Y * np.log(H)) / m)

        gradients = {}
        dZ = H - self.Y
        for layer in range(L, 0, -1):
            H_prev, W, _ = caches[layer - 1]
            gradients[f"W{layer}"] = np.dot(dZ, H_prev.T) / m
            gradients[f"b{layer}"] = np.sum(dZ, axis=1, keepdims=True) / m
            dH = np.dot(W.T, dZ)  # at layer 1 this is dH0, which is not used
            if layer > 1:
                dZ = np.array(dH, copy=True)
                dZ[caches[layer - 2][2] <= 0] = 0
        for name, gradient in gradients.items():
            P[name] = P[name] - self.rate * gradient
        return loss


def softmax(Z: Array) -> Array:
    """Softmax of each column                                   (K, m)"""
    E = np.exp(Z)
    probabilities: Array = E / np.sum(E, axis=0)
    return probabilities


class ScikitLearn(Contestant):
    """`MLPClassifier.fit` on float32. An epoch is one iteration; `warm_start` keeps the weights between calls.

    Its L2 penalty, early stopping and tolerance are turned off, because no other contestant has them.
    """

    def __init__(self, work: Work) -> None:
        from sklearn.neural_network import MLPClassifier

        self.X, self.y = work.floats()
        self.classifier = MLPClassifier(
            work.sizes[1:-1],
            solver=work.optimizer,
            alpha=0,
            batch_size=work.batch or work.images,
            learning_rate_init=work.rate,
            momentum=0,
            nesterovs_momentum=False,
            max_iter=1,
            warm_start=True,
            tol=0,
            n_iter_no_change=1_000_000,
            shuffle=False,
            random_state=0,
        )
        classes = np.arange(work.sizes[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the batch is larger than these ten
            self.classifier.partial_fit(self.X[: len(classes)], classes, classes=classes)  # allocates its arrays
        del self.classifier._optimizer
        for W, b, (W0, b0) in zip(self.classifier.coefs_, self.classifier.intercepts_, work.start, strict=True):
            W[...], b[...] = W0, b0
        self.whole = work.batch is None

    def epoch(self, number: int) -> float:
        return self.run_epochs(number, 1)

    def run_epochs(self, number: int, count: int) -> float:
        """Train for several epochs in one `fit`, which checks the data only once."""
        from sklearn.exceptions import ConvergenceWarning

        self.classifier.shuffle = number > 0 and not self.whole
        self.classifier.max_iter = count
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.classifier.fit(self.X, self.y)
        return float(self.classifier.loss_curve_[-1])


class PyTorch(Contestant):
    """Eager PyTorch, as its tutorials train: modules, `cross_entropy`, `backward`, and an optimizer's `step`.

    The images are one tensor of floats, which is much faster than a DataLoader; the loss is read once per epoch.
    """

    def __init__(self, work: Work) -> None:
        import torch
        from torch import nn

        torch.set_num_threads(len(processors()))
        X, y = work.floats()
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        layers: list[nn.Module] = []
        for W, b in work.start:
            linear = nn.Linear(*W.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, nn.ReLU()]
        self.network = nn.Sequential(*layers[:-1])
        rule = torch.optim.SGD if work.optimizer == "sgd" else torch.optim.Adam
        self.optimizer = rule(self.network.parameters(), lr=work.rate)
        self.loss = nn.CrossEntropyLoss()
        self.batch, self.steps = work.batch, work.steps

    def epoch(self, number: int) -> float:
        import torch

        total = torch.zeros(())
        order = torch.arange(len(self.X)) if number == 0 else torch.randperm(len(self.X))
        for i in range(self.steps):
            X, y = self.X, self.y
            if self.batch is not None:
                index = order[i * self.batch : (i + 1) * self.batch]
                X, y = self.X[index], self.y[index]
            loss = self.loss(self.network(X), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return float(total) / self.steps


def jax(work: Work) -> Contestant:
    """JAX's contestant, whose module needs JAX."""
    from benchmarks.jax_jit import JAX

    return JAX(work)


#: Name → (constructor, the distribution whose version is reported).
CONTESTANTS: dict[str, tuple[Callable[[Work], Contestant], str]] = {
    "byhand": (ByHand, "byhand"),
    FLAT: (FlatNumPy, "numpy"),
    "assignment": (Assignment, "numpy"),
    "scikit-learn": (ScikitLearn, "scikit-learn"),
    "PyTorch": (PyTorch, "torch"),
    "JAX": (jax, "jax"),
}
#: The other libraries, and their distributions.
PEERS = ("PyTorch", "JAX", "scikit-learn")
PEER_DISTRIBUTIONS = tuple(CONTESTANTS[name][1] for name in PEERS)


def contestant(name: str, work: Work) -> Contestant:
    """Return the contestant of that name, with its data and its network ready."""
    constructor, distribution = CONTESTANTS[name]
    try:
        return constructor(work)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or distribution, "bench") from error
