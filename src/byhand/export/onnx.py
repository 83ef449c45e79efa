"""ONNX: the model for other runtimes, with deskewing and scaling.

    pictures      float32 (batch, H, W), or (batch, H, W, 3) in color, pixels from 0 to 255
    probabilities float32 (batch, K)

Deskewing uses the same integers as `byhand.data.handwriting.deskew`: moments in float64, shifts of rows in 256ths of a
pixel, linear interpolation of two pixels. It is therefore bit-identical, which `GridSample` would not be, and opset 13
suffices. Runtimes since 2022 read `ir_version` 8.
"""

import json
from typing import Any

import numpy as np

import byhand
from byhand.data.handwriting.deskew import LIMIT
from byhand.errors import MissingExtraError, UsageError
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.activations import GELU_CUBIC, GELU_SCALE, LEAK
from byhand.nn.arrays import Array
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout, Layer

OPSET = 13
IR_VERSION = 8
TOLERANCE = 1e-5
#: Number of images for the comparison with the model.
CHECKED = 1_000


def as_onnx(model: Model, pictures: Array, name: str) -> tuple[bytes, str]:
    """Return the file, and its maximum difference from the model."""
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise MissingExtraError("onnx and onnxruntime", "onnx") from None
    content: bytes = graph_of(model).SerializeToString()
    onnx.checker.check_model(content, full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    images = pictures[:CHECKED]
    (output,) = session.run(None, {session.get_inputs()[0].name: images.astype(np.float32)})
    difference = float(np.abs(output - model.probabilities(images)).max())
    if not difference <= TOLERANCE:
        raise UsageError(f"onnxruntime must give the model's probabilities to {TOLERANCE:g}, got {difference:.1e}")
    about = f"on {len(images):,} {name} no probability differs by more than {difference:.1e}"
    return content, f"onnxruntime: {about}"


class Graph:
    """Nodes and constants, in the order of the computation."""

    def __init__(self) -> None:
        import onnx

        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, array: Array) -> str:
        """Add a constant, and return its name."""
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, value: float, dtype: type = np.float64) -> str:
        """Return the name of a constant for one number, added at its first use."""
        name = f"{np.dtype(dtype).name}_{value:g}"
        if all(constant.name != name for constant in self.constants):
            self.constant(name, np.array(value, dtype))
        return name

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its result."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def cast(self, value: str, dtype: type) -> str:
        """Add a conversion to another type."""
        return self.add("Cast", value, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def graph_of(model: Model) -> Any:
    """Return the model as an ONNX ModelProto."""
    graph = Graph()
    helper, floats = graph.onnx.helper, graph.onnx.TensorProto.FLOAT
    height, width, *_ = model.image_shape
    if model.input == "floats":
        given, shape, x = "inputs", [model.network.in_size], "inputs"
    else:
        given, shape = "pictures", list(model.image_shape)
        x = deskewed(graph, given, height, width) if model.preparation.deskew else given
        x = scaled(graph, graph.add("Flatten", x, axis=1), model.preparation)
    for layer in model.network.layers:
        x = layer_node(graph, x, layer)
    graph.add("Softmax", x, name="probabilities", axis=-1)
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "byhand",
            [helper.make_tensor_value_info(given, floats, ["batch", *shape])],
            [helper.make_tensor_value_info("probabilities", floats, ["batch", len(model.classes)])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="byhand",
        producer_version=byhand.__version__,
        doc_string="pictures: pixels 0 to 255, or inputs: floats as in training; probabilities: one per class",
    )
    texts = {
        "classes": list(model.classes),
        "preparation": model.preparation.config(),
        "architecture": model.network.config(),
        "card": model.metadata,
    }
    helper.set_model_props(proto, {name: json.dumps(value, ensure_ascii=False) for name, value in texts.items()})
    return proto


def deskewed(graph: Graph, pictures: str, height: int, width: int) -> str:
    """Add the formulas of `handwriting.deskew`          (batch, H, W) → (batch, H, W)"""
    add, number = graph.add, graph.number
    y, x = np.mgrid[:height, :width] - np.array([height // 2, width // 2]).reshape(2, 1, 1)
    masks = np.stack([np.ones_like(x), x, y, x * y, y * y], axis=-1).reshape(height * width, 5).astype(np.float64)
    pixels = graph.cast(add("Flatten", pictures, axis=1), np.float64)
    moments = add("MatMul", pixels, graph.constant("moment_masks", masks))
    m, mx, my, mxy, myy = (
        add("Gather", moments, graph.constant(f"moment_{i}", np.array([i])), axis=1) for i in range(5)
    )

    def ratio(above: str, below: str) -> str:
        """Return above / below, or 0 if both are 0."""
        is_zero = graph.cast(add("Equal", below, number(0.0)), np.float64)
        return add("Div", above, add("Add", below, is_zero))

    covariance = add("Sub", add("Mul", m, mxy), add("Mul", mx, my))
    spread = add("Sub", add("Mul", m, myy), add("Mul", my, my))
    slope = add("Clip", ratio(covariance, spread), number(-LIMIT), number(LIMIT))
    from_mean = add("Sub", graph.constant("rows", (np.arange(height) - height // 2).astype(np.float64)), ratio(my, m))
    exact = add("Add", add("Mul", add("Mul", number(256.0), slope), from_mean), number(0.5))
    shift = add("Clip", add("Floor", exact), number(-256.0 * width), number(256.0 * width))  # (batch, H)
    whole = add("Floor", add("Div", shift, number(256.0)))
    part = add("Sub", shift, add("Mul", whole, number(256.0)))

    last = graph.constant("last_axis", np.array([2]))
    gap = width + 1  # a row shifted by its whole width reads only the padding
    margins = graph.constant("margins", np.array([0, 0, gap, 0, 0, gap]))
    spaced = add("Pad", pictures, margins, number(0.0, np.float32))
    start = add("Unsqueeze", graph.cast(whole, np.int64), last)
    place = add("Add", start, graph.constant("columns", np.arange(width) + gap))
    left = add("GatherElements", spaced, place, axis=2)
    right = add("GatherElements", spaced, add("Add", place, number(1, np.int64)), axis=2)
    f = add("Unsqueeze", graph.cast(part, np.float32), last)
    mixed = add("Add", add("Mul", add("Sub", number(256.0, np.float32), f), left), add("Mul", f, right))
    return add("Floor", add("Div", add("Add", mixed, number(128.0, np.float32)), number(256.0, np.float32)))


def scaled(graph: Graph, pixels: str, preparation: Preparation) -> str:
    """x = (pixel / divisor − mean) / deviation, rounded as in `Preparation.to_floats`."""
    if preparation.is_plain:
        return graph.add("Div", pixels, graph.constant("divisor", np.array(preparation.divisor, np.float32)))
    factor = graph.constant("factor", np.array(1 / (preparation.divisor * preparation.deviation), np.float32))
    offset = graph.constant("less", np.array(preparation.mean / preparation.deviation, np.float32))
    return graph.add("Sub", graph.add("Mul", pixels, factor), offset)


def layer_node(graph: Graph, x: str, layer: Layer) -> str:
    """Add a layer of the network, in inference mode."""
    add = graph.add

    def constant(name: str, array: Array) -> str:
        return graph.constant(f"{layer.index}.{name}", array.astype(np.float32))

    match layer:
        case Dense():
            return add("Gemm", x, constant("W", layer.W), constant("b", layer.b))
        case Convolution():  # Conv takes images with the channels first
            shape = np.array([0, layer.height, layer.width, layer.channels])  # 0 keeps the batch size
            x = add("Reshape", x, graph.constant(f"{layer.index}.picture", shape))
            picture = add("Transpose", x, perm=[0, 3, 1, 2])
            W = layer.W.reshape(layer.size, layer.size, layer.channels, layer.maps).transpose(3, 2, 0, 1)
            maps = add("Conv", picture, constant("W", W), constant("b", layer.b), strides=[layer.stride] * 2)
            return add("Flatten", add("Transpose", maps, perm=[0, 2, 3, 1]), axis=1)
        case BatchNorm():
            settings = [constant(name, getattr(layer, name)) for name in ("gamma", "beta", "mean", "variance")]
            return add("BatchNormalization", x, *settings, epsilon=layer.epsilon)
        case Dropout():
            return x
        case Activation():
            return activation_node(graph, x, layer.function.name)
    raise UsageError(f"onnx does not support {layer!r}")


def activation_node(graph: Graph, z: str, name: str) -> str:
    """Add H = g(Z), by the name of g."""
    add, number = graph.add, graph.number
    match name:
        case "relu" | "sigmoid" | "tanh":
            return add(name.capitalize(), z)
        case "leaky_relu":
            return add("LeakyRelu", z, alpha=LEAK)
        case "identity":
            return z
        case "gelu":  # Z (1 + tanh(c Z (1 + 0.044715 Z²))) / 2
            cubic = add("Mul", add("Mul", z, z), number(GELU_SCALE * GELU_CUBIC, np.float32))
            inner = add("Mul", z, add("Add", cubic, number(GELU_SCALE, np.float32)))
            doubled = add("Mul", z, add("Add", add("Tanh", inner), number(1.0, np.float32)))
            return add("Mul", doubled, number(0.5, np.float32))
    raise UsageError(f"onnx does not support the activation {name!r}")
