"""Prediction: probabilities of the 10,000 test images, by each library's own call.

Measured from bytes, which every library has to scale, and from floats that are scaled already. All must agree.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.rounds import Log, in_turn, speedups, spread
from byhand.data import load
from byhand.model import Model
from byhand.model.model import forward_in_blocks
from byhand.nn.arrays import Array
from byhand.nn.losses import softmax
from byhand.threads import processors

SIZES = (784, 128, 10)
#: Minimum seconds of a turn, and between turns; maximum difference of two libraries' probabilities.
TURN, PAUSE, AGREE = 0.3, 0.25, 1e-4

Call = Callable[[], Array]

#: The two inputs. byhand's model scales bytes itself; for the peers NumPy does, in float32 and one pass.
BYTES, FLOATS = "from bytes", "from floats"


def readers(model: Model, images: Array) -> dict[str, dict[str, Call]]:
    """Input → contestant → the call that returns probabilities          images: uint8 (N, 28, 28) → (N, 10)"""
    X, bytes_ = model.preparation(images), images.reshape(len(images), -1)
    peers = {"scikit-learn": sklearn_reader(model), "PyTorch": torch_reader(model), "onnxruntime": onnx_reader(model)}

    def scaled(peer: Callable[[Array], Array]) -> Array:
        return peer(np.divide(bytes_, np.float32(255), dtype=np.float32))

    from_bytes: dict[str, Call] = {"byhand": partial(model.probabilities, images)}
    from_floats: dict[str, Call] = {
        "byhand": lambda: softmax(forward_in_blocks(model.network, lambda rows, _: X[rows], len(X)))
    }
    for name, peer in peers.items():
        from_bytes[name] = partial(scaled, peer)
        from_floats[name] = partial(peer, X)
    return {BYTES: from_bytes, FLOATS: from_floats}


def sklearn_reader(model: Model) -> Callable[[Array], Array]:
    """`predict_proba` of an MLPClassifier that has the model's weights."""
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(SIZES[1:-1], max_iter=1)
    classes = np.arange(SIZES[-1])
    classifier.partial_fit(np.eye(len(classes), SIZES[0], dtype=np.float32), classes, classes=classes)
    classifier.coefs_ = [layer.W for layer in model.network.dense]
    classifier.intercepts_ = [layer.b for layer in model.network.dense]
    probabilities: Callable[[Array], Array] = classifier.predict_proba
    return probabilities


def torch_reader(model: Model) -> Callable[[Array], Array]:
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

    def probabilities(X: Array) -> Array:
        with torch.inference_mode():
            P: Array = network(torch.from_numpy(X)).numpy()
        return P

    return probabilities


def onnx_reader(model: Model) -> Callable[[Array], Array]:
    """onnxruntime on the network alone: byhand's own export includes the scaling."""
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
    return lambda X: np.asarray(session.run(None, {"X": X})[0])


def benchmark(rounds: int, log: Log, data: str = "mnist") -> dict[str, Any]:
    """Milliseconds for all the test images, in turns, and speedups."""
    model = Model(list(SIZES), seed=0)
    images = load(data, offline=True).test.images
    works = {}
    for work, calls in readers(model, images).items():
        log(f"  reading {len(images):,} images {work}")
        works[work] = compare(calls, rounds, log)
    return {"images": len(images), "sizes": list(SIZES), "works": works}


def compare(calls: dict[str, Call], rounds: int, log: Log) -> dict[str, Any]:
    """Benchmark contestants with the same input; the first is byhand."""
    expected = calls["byhand"]()
    counts, differences = {}, {}
    for name, call in calls.items():
        differences[name] = float(np.abs(call() - expected).max())
        if differences[name] > AGREE:
            raise ValueError(
                f"{name} must give the same probabilities as byhand, they differ by {differences[name]:.2g}"
            )
        counts[name] = max(1, round(TURN / seconds(call, 1)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name in in_turn(list(calls), number):
            time.sleep(PAUSE)
            times[name].append(seconds(calls[name], counts[name]) / counts[name])
        log(f"  round {number + 1} of {rounds}")
    return {
        "milliseconds": {name: spread([1e3 * value for value in values]) for name, values in times.items()},
        "times_as_fast_as": speedups(times),
        "largest_difference": differences,
    }


def seconds(call: Call, count: int) -> float:
    """Seconds of `count` calls, one after another."""
    began = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - began
