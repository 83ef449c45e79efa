"""Mistakes planted in correct solutions: the function, the mistake's name, and the changes.

Each entry is (function, mistake, (right, wrong), …); the text `right` must be in that function exactly as given.
"""

import re

IN_L_LAYER = [
    ("sigmoid", "sign of the exponent", ("np.exp(-Z)", "np.exp(Z)")),
    ("sigmoid", "Z and H mixed up", ("sigmoid_memory = Z", "sigmoid_memory = H")),
    ("sigmoid", "tanh for sigmoid", ("1/(1+np.exp(-Z))", "np.tanh(Z)")),
    ("sigmoid", "too little returned", ("return H, sigmoid_memory", "return H")),
    ("sigmoid", "no value", ("np.exp(-Z)", "np.exp(-z)")),
    ("relu", "leaky relu", ("np.maximum(0,Z)", "np.maximum(0.01*Z,Z)")),
    ("relu", "Z and H mixed up", ("relu_memory = Z", "relu_memory = H")),
    ("relu", "minimum for maximum", ("np.maximum(0,Z)", "np.minimum(0,Z)")),
    ("relu", "mask for relu", ("np.maximum(0,Z)", "(Z > 0)*1")),
    ("relu", "absolute value", ("np.maximum(0,Z)", "np.abs(Z)")),
    ("relu", "changed in place", ("np.maximum(0,Z)", "Z; H[H < 0] = 0")),
    (
        "softmax",
        "softmax along the wrong axis",
        ("np.sum(e, axis=0, keepdims=True)", "np.sum(e, axis=1, keepdims=True)"),
        ("np.max(Z, axis=0, keepdims=True)", "np.max(Z)"),
    ),
    (
        "softmax",
        "softmax over everything",
        ("np.sum(e, axis=0, keepdims=True)", "np.sum(e)"),
        ("Z, axis=0, keepdims=True)", "Z)"),
    ),
    (
        "softmax",
        "softmax not normalized",
        ("np.exp(Z - np.max(Z, axis=0, keepdims=True))", "np.exp(Z)"),
        ("e/np.sum(e, axis=0, keepdims=True)", "e"),
    ),
    ("initialize_parameters", "wrong scale of the weights", ("* 0.1", "* 0.01")),
    ("initialize_parameters", "rand for randn", ("randn(", "rand(")),
    (
        "initialize_parameters",
        "transposed",
        (
            "np.random.randn(dimensions[l], dimensions[l-1]) * 0.1",
            "(np.random.randn(dimensions[l], dimensions[l-1]) * 0.1).T",
        ),
    ),
    (
        "initialize_parameters",
        "weights drawn transposed",
        ("np.random.randn(dimensions[l], dimensions[l-1])", "np.random.randn(dimensions[l-1], dimensions[l]).T"),
    ),
    ("initialize_parameters", "biases not zero", ("np.zeros", "np.ones")),
    ("initialize_parameters", "output missing", ("range(1, len(dimensions))", "range(1, len(dimensions) - 1)")),
    ("layer_forward", "bias left out", ("np.dot(W, H_prev) + b", "np.dot(W, H_prev)")),
    ("layer_forward", "activation ignored", ("softmax(Z)", "sigmoid(Z)")),
    ("layer_forward", "Z and H mixed up", ("(linear_memory, activation_memory)", "(linear_memory, H)")),
    ("layer_forward", "memories swapped", ("(linear_memory, activation_memory)", "(activation_memory, linear_memory)")),
    ("layer_forward", "the wrong array", ("linear_memory = (H_prev, W, b)", "linear_memory = (W, H_prev, b)")),
    (
        "layer_forward",
        "weights transposed",
        ("np.dot(W, H_prev)", "np.dot(W.T, H_prev)"),
        ("assert (H.shape == (W.shape[0], H_prev.shape[1]))", "pass"),
    ),
    ("L_layer_forward", "softmax left out", ("activation='softmax'", "activation='relu'")),
    (
        "L_layer_forward",
        "last memory left out",
        ("activation='softmax')\n    memories.append(memory)", "activation='softmax')"),
    ),
    ("L_layer_forward", "sigmoid for relu", ("activation='relu'", "activation='sigmoid'")),
    ("L_layer_forward", "X into every layer", ("H_prev = H", "H_prev = X")),
    ("L_layer_forward", "softmax in every layer", ("activation='relu'", "activation='softmax'")),
    ("compute_loss", "1/m missing", ("(-1./m)", "(-1.)")),
    ("compute_loss", "1/m twice", ("(-1./m)", "(-1./m**2)")),
    ("compute_loss", "wrong sign", ("(-1./m)", "(1./m)")),
    ("compute_loss", "mean over all entries", ("(-1./m) * np.sum(", "-np.mean(")),
    ("compute_loss", "binary cross-entropy", ("np.multiply(Y, np.log(HL))", "Y*np.log(HL) + (1-Y)*np.log(1-HL)")),
    ("compute_loss", "wrong logarithm", ("np.log(", "np.log2(")),
    ("compute_loss", "logarithm left out", ("np.log(HL)", "HL")),
    (
        "compute_loss",
        "not summed to one number",
        ("np.sum(np.multiply(Y, np.log(HL)))", "np.sum(np.multiply(Y, np.log(HL)), axis=0)"),
        ("assert(loss.shape == ())", "pass"),
    ),
    ("sigmoid_backward", "Z taken for H", ("H = 1/(1+np.exp(-Z))", "H = Z")),
    ("sigmoid_backward", "sigmoid taken twice", ("Z = sigmoid_memory", "Z = 1/(1+np.exp(-sigmoid_memory))")),
    ("sigmoid_backward", "dH left out", ("dH * H", "H")),
    ("sigmoid_backward", "factor left out", (" * (1-H)", "")),
    ("relu_backward", "sign of dH for sign of Z", ("dZ[Z <= 0] = 0", "dZ[dZ <= 0] = 0")),
    ("relu_backward", "relu turned round", ("Z <= 0", "Z > 0")),
    ("relu_backward", "dH left out", ("np.array(dH, copy=True)", "np.ones(Z.shape)")),
    ("relu_backward", "relu of the memory", ("np.array(dH, copy=True)", "np.array(Z)")),
    ("relu_backward", "derivative left out", ("dZ[Z <= 0] = 0", "pass")),
    ("layer_backward", "1/m missing", ("dW = (1./m) * ", "dW = "), ("db = (1./m) * ", "db = ")),
    ("layer_backward", "1/m twice", ("(1./m) * np.sum", "(1./m)**2 * np.sum")),
    ("layer_backward", "1/m where it does not belong", ("np.dot(W.T, dZ)", "np.dot(W.T, dZ)/m")),
    ("layer_backward", "bias summed over everything", ("np.sum(dZ, axis=1, keepdims=True)", "np.sum(dZ)")),
    (
        "layer_backward",
        "bias summed over units",
        ("np.sum(dZ, axis=1, keepdims=True)", "np.sum(dZ, axis=0, keepdims=True)"),
    ),
    ("layer_backward", "axis lost", ("np.sum(dZ, axis=1, keepdims=True)", "np.sum(dZ, axis=1)")),
    ("layer_backward", "transposed", ("np.dot(dZ, H_prev.T)", "np.dot(H_prev, dZ.T)")),
    ("layer_backward", "weights not transposed", ("np.dot(W.T, dZ)", "np.dot(W, dZ)")),
    (
        "layer_backward",
        "derivative left out",
        ("relu_backward(dH, activation_memory)", "dH"),
        ("sigmoid_backward(dH, activation_memory)", "dH"),
    ),
    ("layer_backward", "divided by units", ("m = H_prev.shape[1]", "m = H_prev.shape[0]")),
    ("layer_backward", "Z for H_prev", ("np.dot(dZ, H_prev.T)", "np.dot(dZ, activation_memory.T)")),
    ("layer_backward", "bias not summed", ("np.sum(dZ, axis=1, keepdims=True)", "dZ")),
    ("L_layer_backward", "Y minus HL", ("HL - Y", "Y - HL")),
    ("L_layer_backward", "derivative of softmax again", ("HL - Y", "(HL - Y) * HL * (1 - HL)")),
    ("L_layer_backward", "1/m missing", ("(1./m) * np.dot", "np.dot")),
    ("L_layer_backward", "1/m twice", ("dZ = HL - Y", "dZ = (HL - Y)/np.sqrt(m)"), ("(1./m)", "(m**-1.5)")),
    ("L_layer_backward", "bias summed over everything", ("np.sum(dZ, axis=1, keepdims=True)", "np.sum(dZ)")),
    (
        "L_layer_backward",
        "memory of the wrong layer",
        ("current_memory = memories[l]", "current_memory = memories[l + 1]"),
    ),
    ("L_layer_backward", "wrong derivative", ('activation="relu"', 'activation="sigmoid"')),
    ("L_layer_backward", "output missing", ("reversed(range(L-1))", "reversed(range(1, L-1))")),
    ("L_layer_backward", "relu in the last layer", ("dZ = HL - Y", "dZ = relu_backward(HL - Y, activation_memory)")),
    (
        "update_parameters",
        "old weight dropped",
        ('parameters["W" + str(l+1)] - learning_rate', "learning_rate"),
        ('parameters["b" + str(l+1)] - learning_rate', "learning_rate"),
    ),
    ("update_parameters", "climbing", ("- learning_rate", "+ learning_rate")),
    ("update_parameters", "learning rate left out", ("learning_rate * gradients", "gradients")),
    ("update_parameters", "not updated", ("range(L)", "range(L-1)")),
    ("update_parameters", "nothing returned", ("return parameters", "return")),
    ("L_layer_model", "an iteration too few", ("range(0, num_iterations)", "range(1, num_iterations)")),
    ("L_layer_model", "an iteration too many", ("range(0, num_iterations)", "range(0, num_iterations + 1)")),
    ("L_layer_model", "learning rate not passed on", ("gradients, learning_rate)", "gradients, 0.0075)")),
    (
        "L_layer_model",
        "begun again in every iteration",
        ("HL, memories =", "parameters = initialize_parameters(dimensions)\n        HL, memories ="),
    ),
    ("L_layer_model", "nothing returned", ("return parameters", "pass")),
    (
        "predict",
        "argmax along the wrong axis",
        ("np.argmax(probas, axis=0)", "np.argmax(probas, axis=1)"),
        ("np.sum((probas == y_label)/m)", "0.5"),
    ),
    ("predict", "output missing", ('print("Accuracy: " + str(np.sum((probas == y_label)/m)))', "pass")),
    ("predict", "nothing returned", ("return probas", "pass")),
    ("predict", "labels left one-hot", ("y_label = np.argmax(y, axis=0)", "y_label = y")),
]

IN_TWO_LAYER = [
    ("init_params", "half not subtracted", ("- 0.5", "")),
    ("ReLU", "leaky relu", ("np.maximum(Z, 0)", "np.maximum(Z, 0.01 * Z)")),
    ("ReLU", "absolute value", ("np.maximum(Z, 0)", "abs(Z)")),
    ("softmax", "softmax over everything", ("sum(np.exp(Z))", "np.sum(np.exp(Z))"), ("Z, axis=0)", "Z)")),
    ("forward_prop", "bias left out", ("W1.dot(X) + b1", "W1.dot(X)"), ("W2.dot(A1) + b2", "W2.dot(A1)")),
    ("forward_prop", "softmax left out", ("softmax(Z2)", "ReLU(Z2)")),
    ("forward_prop", "activation left out", ("ReLU(Z1)", "Z1")),
    ("forward_prop", "X into every layer", ("W2.dot(A1)", "W2.dot(X)")),
    ("ReLU_deriv", "relu turned round", ("Z > 0", "Z < 0")),
    ("ReLU_deriv", "relu of the memory", ("Z > 0", "np.maximum(Z, 0)")),
    ("one_hot", "transposed", ("one_hot_Y.T", "one_hot_Y")),
    ("backward_prop", "bias summed over everything", (", axis=1, keepdims=True", "")),
    ("backward_prop", "1/m missing", ("1 / m * ", "")),
    ("backward_prop", "Y minus HL", ("A2 - one_hot_Y", "one_hot_Y - A2")),
    ("backward_prop", "labels not one-hot", ("A2 - one_hot_Y", "A2 - Y")),
    ("backward_prop", "derivative left out", (" * ReLU_deriv(Z1)", "")),
    ("backward_prop", "weights not transposed", ("W2.T.dot", "W2.dot")),
    ("backward_prop", "divided by all", ("m = Y.size", "pass")),  # the program has an m, the number of all samples
    ("backward_prop", "divided by all", ("m = Y.size", "m = 1200")),
    ("update_params", "old weight dropped", ("W2 = W2 - alpha", "W2 = alpha")),
    ("update_params", "not updated", ("b1 = b1 - alpha * db1", "pass")),
    ("update_params", "climbing", ("- alpha", "+ alpha")),
    ("get_predictions", "argmax along the wrong axis", ("np.argmax(A2, 0)", "np.argmax(A2, 1)")),
    ("get_accuracy", "right ones counted", (" / Y.size", "")),
    ("get_accuracy", "percent for a share", ("np.sum(predictions == Y)", "100 * np.sum(predictions == Y)")),
    ("gradient_descent", "an iteration too few", ("range(iterations)", "range(1, iterations)")),
    ("gradient_descent", "climbing", ("db2, alpha)", "db2, -alpha)")),
    ("make_predictions", "probabilities for classes", ("get_predictions(A2)", "A2")),
]


def rounds(mistakes):
    """Split the mistakes into rounds with at most one mistake per function."""
    result = []
    for mistake in mistakes:
        free = next((one for one in result if all(mistake[0] != other[0] for other in one)), None)
        if free is None:
            result.append(free := [])
        free.append(mistake)
    return result


def planted(source, mistakes):
    """Return the source with each mistake put into its function."""
    for function, _, *changes in mistakes:
        found = re.search(rf"^def {function}\b.*\n(?:[ \t].*\n|\n)*", source, re.MULTILINE)
        body = found[0]
        for right, wrong in changes:
            assert right in body, f"{function} no longer contains {right!r}"
            body = body.replace(right, wrong)
        source = source[: found.start()] + body + source[found.end() :]
    return source
