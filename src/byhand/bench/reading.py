"""Prediction: 10,000 test images to probabilities, as each library's own call gives them.

byhand takes bytes and scales them itself; the peers are handed floats that are ready. All must agree.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from byhand.bench.rounds import Say, spread
from byhand.data import load
from byhand.model import Model
from byhand.nn.scratch import Array
from byhand.training.threads import processors

SIZES = (784, 128, 10)
TURN = 0.3
AGREE = 1e-4


def readers(model: Model, images: Array) -> dict[str, Callable[[], Array]]:
    """For each: the call that gives probabilities                         images: uint8 (N, 28, 28) → (N, 10)"""
    X = model.preparation(images)
    return {
        "byhand": partial(model.probabilities, images),
        "scikit-learn": sklearn_reader(model, X),
        "PyTorch": torch_reader(model, X),
        "onnxruntime": onnx_reader(model, X),
    }


def sklearn_reader(model: Model, X: Array) -> Callable[[], Array]:
    """`predict_proba` of an MLPClassifier that has the model's weights."""
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(SIZES[1:-1], max_iter=1)
    classes = np.arange(SIZES[-1])
    classifier.partial_fit(X[: len(classes)], classes, classes=classes)
    classifier.coefs_ = [layer.W for layer in model.network.dense]
    classifier.intercepts_ = [layer.b for layer in model.network.dense]
    return partial(classifier.predict_proba, X)


def torch_reader(model: Model, X: Array) -> Callable[[], Array]:
    """A Sequential under `inference_mode`."""
    import torch
    from torch import nn

    torch.set_num_threads(len(processors()))
    layers: list[nn.Module] = []
    for layer in model.network.dense:
        linear = nn.Linear(*layer.W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.W.T.copy()))
            linear.bias.copy_(torch.from_numpy(layer.b.copy()))
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1], nn.Softmax(dim=1))
    pictures = torch.from_numpy(X)

    def read() -> Array:
        with torch.inference_mode():
            probabilities: Array = network(pictures).numpy()
        return probabilities

    return read


def onnx_reader(model: Model, X: Array) -> Callable[[], Array]:
    """onnxruntime on the network alone: our own export would have the scaling inside."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, name = [], [], "X"
    for i, layer in enumerate(model.network.dense):
        weights += [
            numpy_helper.from_array(layer.W.copy(), f"W{i}"),
            numpy_helper.from_array(layer.b.copy(), f"b{i}"),
        ]
        nodes.append(helper.make_node("Gemm", [name, f"W{i}", f"b{i}"], [f"Z{i}"]))
        if i == len(SIZES) - 2:
            nodes.append(helper.make_node("Softmax", [f"Z{i}"], [f"H{i}"], axis=-1))
        else:
            nodes.append(helper.make_node("Relu", [f"Z{i}"], [f"H{i}"]))
        name = f"H{i}"
    value = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes, "bench", [value("X", shape=["N", SIZES[0]])], [value(name, shape=["N", SIZES[-1]])], weights
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda: np.asarray(session.run(None, {"X": X})[0])


def race(rounds: int, say: Say, data: str = "mnist") -> dict[str, Any]:
    """Milliseconds for all the test images, in turns, and ratios to byhand's."""
    model = Model(list(SIZES), seed=0)
    images = load(data, offline=True).test.images
    calls = readers(model, images)
    expected = calls["byhand"]()
    counts, differences = {}, {}
    for name, call in calls.items():
        differences[name] = float(np.abs(call() - expected).max())
        if differences[name] > AGREE:
            raise ValueError(f"{name} must read as byhand does, its probabilities differ by {differences[name]:.2g}")
        counts[name] = max(1, round(TURN / seconds(call, 1)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(0.25)
            times[name].append(seconds(calls[name], counts[name]) / counts[name])
        say(f"  reading {len(images):,} images: round {number + 1} of {rounds}")
    ours, *others = names
    return {
        "images": len(images),
        "sizes": list(SIZES),
        "milliseconds": {name: spread([1e3 * value for value in values]) for name, values in times.items()},
        "times_as_fast_as": {
            name: spread([theirs / mine for theirs, mine in zip(times[name], times[ours], strict=True)])
            for name in others
        },
        "largest_difference": differences,
    }


def seconds(call: Callable[[], Array], count: int) -> float:
    """So many calls, one after another."""
    began = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - began
