"""Right solutions in the styles of strangers' notebooks: each changes how a solution is written, not what it does.

The functions of a changed file are all right; some get a remark.
"""

from pathlib import Path

STUDENTS = Path(__file__).parents[1] / "students"
L, TWO = "as_the_assignment", "two_layer_as_published"
READ = 'pd.read_csv("/kaggle/input/digit-recognizer/train.csv")'

#: (base, (old, new), …): a change of one place, which stays right.
CHANGES = [
    # activations
    (L, ("np.exp(Z - np.max(Z, axis=0, keepdims=True))", "np.exp(Z)")),
    (L, ("np.exp(Z - np.max(Z, axis=0, keepdims=True))", "np.exp(Z - Z.max())")),
    (L, ("return e/np.sum(e, axis=0, keepdims=True), Z", "return np.divide(e, e.sum(0)), Z")),
    (L, ("return e/np.sum(e, axis=0, keepdims=True), Z", "return (e.T/e.T.sum(axis=1)[:, None]).T, Z")),
    (L, ("H = 1/(1+np.exp(-Z))\n    sigmoid_memory", "H = np.exp(Z)/(1+np.exp(Z))\n    sigmoid_memory")),
    (L, ("H = 1/(1+np.exp(-Z))\n    sigmoid_memory", "H = np.reciprocal(1.0+np.exp(-Z))\n    sigmoid_memory")),
    (L, ("H = 1/(1+np.exp(-Z))\n    sigmoid_memory", "H = .5*(1+np.tanh(.5*Z))\n    sigmoid_memory")),
    (L, ("np.maximum(0,Z)", "Z * (Z > 0)")),
    (L, ("np.maximum(0,Z)", "np.where(Z < 0, 0, Z)")),
    (L, ("np.maximum(0,Z)", "np.clip(Z, 0, None)")),
    (L, ("np.maximum(0,Z)", "Z.copy(); H[H < 0] = 0")),
    (L, ("np.maximum(0,Z)", "(Z + abs(Z)) / 2")),
    (L, ("relu_memory = Z\n    return", "relu_memory = Z.copy()\n    return")),
    # parameters and forward
    (
        L,
        (
            "np.random.randn(dimensions[l], dimensions[l-1]) * 0.1",
            "np.random.randn(dimensions[l], dimensions[l-1]) / 10",
        ),
    ),
    (
        L,
        (
            "np.random.randn(dimensions[l], dimensions[l-1]) * 0.1",
            "np.random.normal(0, 0.1, (dimensions[l], dimensions[l-1]))",
        ),
    ),
    (L, ("np.zeros((dimensions[l], 1))", "np.zeros(shape=(dimensions[l], 1), dtype=np.float64)")),
    (L, ("np.zeros((dimensions[l], 1))", "np.full((dimensions[l], 1), 0)")),
    (L, ("Z = np.dot(W, H_prev) + b", "Z = W @ H_prev + b")),
    (L, ("Z = np.dot(W, H_prev) + b", "Z = np.add(W.dot(H_prev), b)")),
    (L, ("Z = np.dot(W, H_prev) + b", "Z = (H_prev.T.dot(W.T) + b.T).T")),
    (L, ("memories.append(memory)\n    HL", "memories += [memory]\n    HL")),
    (
        L,
        (
            "for l in range(1, L):\n        H_prev = H\n",
            "l = 0\n    while l < L - 1:\n        l += 1\n        H_prev = H\n",
        ),
    ),
    (L, ("'W' + str(l)], parameters['b' + str(l)]", "f'W{l}'], parameters['b%d' % l]")),
    (
        L,
        (
            "L = len(parameters) // 2\n    for l in range(1, L)",
            "L = int(len(parameters) / 2)\n    for l in range(1, L)",
        ),
    ),
    # loss
    (L, ("(-1./m) * np.sum(np.multiply(Y, np.log(HL)))", "-np.sum(Y * np.log(HL)) / m")),
    (L, ("(-1./m) * np.sum(np.multiply(Y, np.log(HL)))", "-np.mean(np.sum(Y * np.log(HL), axis=0))")),
    (L, ("(-1./m) * np.sum(np.multiply(Y, np.log(HL)))", "-np.trace(np.dot(Y.T, np.log(HL))) / m")),
    (L, ("(-1./m) * np.sum(np.multiply(Y, np.log(HL)))", "-np.log(HL[Y.argmax(0), np.arange(m)]).mean()")),
    (L, ("(-1./m) * np.sum(np.multiply(Y, np.log(HL)))", "-np.einsum('ij,ij', Y, np.log(HL)) / m")),
    (L, ("np.log(HL)", "np.log(HL + 1e-12)")),
    # backward
    (L, ("dZ = dH * H * (1-H)", "dZ = np.multiply(dH, H - H**2)")),
    (L, ("dZ = dH * H * (1-H)", "dZ = dH * np.exp(-Z) / (1 + np.exp(-Z))**2")),
    (L, ("dZ[Z <= 0] = 0", "dZ[np.where(Z <= 0)] = 0")),
    (L, ("dZ[Z <= 0] = 0", "dZ *= (Z > 0)")),
    (L, ("dZ[Z <= 0] = 0", "dZ = dZ * np.heaviside(Z, 0)")),
    (L, ("dW = (1./m) * np.dot(dZ, H_prev.T)", "dW = dZ @ H_prev.T / m")),
    (L, ("dW = (1./m) * np.dot(dZ, H_prev.T)", "dW = np.dot(H_prev, dZ.T).T / dZ.shape[1]")),
    (
        L,
        (
            "db = (1./m) * np.sum(dZ, axis=1, keepdims=True)\n    dH_prev",
            "db = dZ.mean(axis=1).reshape(-1, 1)\n    dH_prev",
        ),
    ),
    (L, ("db = (1./m) * np.sum(dZ, axis=1, keepdims=True)\n    dH_prev", "db = dZ @ np.ones((m, 1)) / m\n    dH_prev")),
    (L, ("dH_prev = np.dot(W.T, dZ)", "dH_prev = np.tensordot(W, dZ, axes=(0, 0))")),
    (L, ("dZ = HL - Y", "dZ = np.subtract(HL, Y)")),
    (L, ("dZ = HL - Y", "dZ = -(Y - HL)")),
    (L, ("for l in reversed(range(L-1)):", "for l in range(L-2, -1, -1):")),
    # update, training, prediction
    (L, ('parameters["W" + str(l+1)] = parameters["W" + str(l+1)] -', 'parameters["W" + str(l+1)] -=')),
    (L, ("    return parameters\n\ndef L_layer_model", "    return dict(parameters)\n\ndef L_layer_model")),
    (L, ("for i in range(0, num_iterations):", "for i in np.arange(num_iterations):")),
    (L, ('print("Loss after iteration %i: %f" % (i, loss))', "print(f'{i}: {loss:.4f}', end='\\r')")),
    (L, ("probas = np.argmax(probas, axis=0)", "probas = probas.T.argmax(1)")),
    (L, ('"Accuracy: " + str(np.sum((probas == y_label)/m))', "'accuracy', 100 * np.mean(probas == y_label), '%'")),
    # the other program
    (TWO, ("    Z = Z - np.max(Z, axis=0)\n", "")),
    (TWO, ("np.zeros((Y.size, 10))", "np.zeros((Y.size, Y.max() + 1))")),
    (TWO, ("    W1 = np.random.rand(10, 784) - 0.5", "    W1 = np.random.randn(10, 784) * np.sqrt(2 / 784)")),
    (TWO, ("    b1 = np.random.rand(10, 1) - 0.5", "    b1 = np.zeros((10, 1))")),
    (TWO, ("    m = Y.size\n    one_hot_Y", "    m = Y.shape[0]\n    one_hot_Y")),
    (TWO, ("return np.maximum(Z, 0)", "return np.maximum(0, Z, dtype=float)")),
    (TWO, ("return Z > 0", "return (Z > 0).astype(int)")),
    (TWO, ("return np.exp(Z) / sum(np.exp(Z))", "A = np.exp(Z) / sum(np.exp(Z))\n    return A")),
    (TWO, ("np.sum(predictions == Y) / Y.size", "sum(predictions == Y) / len(Y)")),
    (TWO, ("    print(predictions, Y)\n", "")),
    (TWO, (READ, 'pd.read_csv("data/train.csv", header=0)')),
    (TWO, ("        if i % 10 == 0:", "        if i % max(1, iterations // 10) == 0:")),
    (L, ("import numpy as np\n", "from numpy import *\nimport numpy as np\n")),
]


def styles():
    """Yield (number, page, source) of each right solution."""
    for number, (base, change) in enumerate(CHANGES):
        source = (STUDENTS / f"{base}.py").read_text("utf-8")
        assert change[0] in source, change
        yield number, "l_layer" if base == L else "two_layer", source.replace(*change)
