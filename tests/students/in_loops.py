"""A solution in plain loops: no array operation where a loop will do."""

import math

import numpy

EXP_LIMIT = 700


def _map(f, Z):
    out = numpy.zeros((len(Z), len(Z[0])))
    for i in range(len(Z)):
        for j in range(len(Z[0])):
            out[i][j] = f(Z[i][j])
    return out


def _times(A, B):
    out = [[0.0 for _ in range(len(B[0]))] for _ in range(len(A))]
    for i in range(len(A)):
        for j in range(len(B[0])):
            for k in range(len(B)):
                out[i][j] += A[i][k] * B[k][j]
    return numpy.array(out)


def _turn(A):
    return numpy.array([[A[i][j] for i in range(len(A))] for j in range(len(A[0]))])


def _safe(z):
    return 1 / (1 + math.exp(-z)) if z > -EXP_LIMIT else 0.0


def sigmoid(Z):
    return _map(_safe, Z), Z


def relu(Z):
    return _map(lambda z: z if z > 0 else 0, Z), Z


def softmax(Z):
    H = numpy.zeros(Z.shape)
    for j in range(Z.shape[1]):
        top = max(Z[:, j])
        powers = [math.exp(z - top) for z in Z[:, j]]
        for i in range(Z.shape[0]):
            H[i, j] = powers[i] / sum(powers)
    return H, Z


def initialize_parameters(dimensions):
    numpy.random.seed(2)
    parameters = {}
    for i, (fan, n) in enumerate(zip(dimensions[:-1], dimensions[1:])):
        parameters[f"W{i + 1}"] = numpy.array([[numpy.random.randn() / 10 for _ in range(fan)] for _ in range(n)])
        parameters[f"b{i + 1}"] = numpy.array([[0.0]] * n)
    return parameters


def layer_forward(H_prev, W, b, activation="relu"):
    Z = _times(W, H_prev)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = Z[i, j] + b[i, 0]
    chosen = {"relu": relu, "sigmoid": sigmoid, "softmax": softmax}[activation]
    H, memory = chosen(Z)
    return H, ((H_prev, W, b), memory)


def L_layer_forward(X, parameters):
    L = len(parameters) // 2
    memories, H = [], X
    for l in range(1, L + 1):
        kind = "softmax" if l == L else "relu"
        H, memory = layer_forward(H, parameters["W%d" % l], parameters["b%d" % l], kind)
        memories = memories + [memory]
    return H, memories


def compute_loss(HL, Y):
    total = 0.0
    for j in range(Y.shape[1]):
        for i in range(Y.shape[0]):
            if Y[i, j]:
                total -= math.log(HL[i, j])
    return total / Y.shape[1]


def sigmoid_backward(dH, sigmoid_memory):
    H = sigmoid(sigmoid_memory)[0]
    return numpy.array([[d * h * (1 - h) for d, h in zip(ds, hs)] for ds, hs in zip(dH, H)])


def relu_backward(dH, relu_memory):
    return numpy.array([[d if z > 0 else 0.0 for d, z in zip(ds, zs)] for ds, zs in zip(dH, relu_memory)])


def layer_backward(dH, memory, activation="relu"):
    (H_prev, W, b), Z = memory
    if activation == "relu":
        dZ = relu_backward(dH, Z)
    else:
        dZ = sigmoid_backward(dH, Z)
    m = len(dZ[0])
    dW = _times(dZ, _turn(H_prev)) / m
    db = numpy.array([[sum(row) / m] for row in dZ])
    return _times(_turn(W), dZ), dW, db


def L_layer_backward(HL, Y, memories):
    gradients = {}
    L = len(memories)
    m = HL.shape[1]
    dZ = HL - Y
    while L > 0:
        (H_prev, W, b), Z = memories[L - 1]
        if L < len(memories):
            dZ = relu_backward(gradients[f"dH{L}"], Z)
        gradients[f"dW{L}"] = _times(dZ, _turn(H_prev)) / m
        gradients[f"db{L}"] = numpy.array([[sum(row) / m] for row in dZ])
        gradients[f"dH{L - 1}"] = _times(_turn(W), dZ)
        L -= 1
    return gradients


def update_parameters(parameters, gradients, learning_rate):
    for key in parameters:
        for where in numpy.ndindex(parameters[key].shape):
            parameters[key][where] -= learning_rate * gradients["d" + key][where]
    return parameters


def L_layer_model(X, Y, dimensions, learning_rate=0.0075, num_iterations=3000, print_loss=False):
    parameters = initialize_parameters(dimensions)
    i = 0
    while i < num_iterations:
        HL, memories = L_layer_forward(X, parameters)
        if print_loss and not i % 100:
            print("Loss after iteration", i, compute_loss(HL, Y))
        update_parameters(parameters, L_layer_backward(HL, Y, memories), learning_rate)
        i += 1
    return parameters


def predict(X, y, parameters):
    HL, _ = L_layer_forward(X, parameters)
    predictions = []
    for j in range(X.shape[1]):
        best = 0
        for i in range(1, len(HL)):
            if HL[i, j] > HL[best, j]:
                best = i
        predictions.append(best)
    right = sum(int(y[p, j] == 1) for j, p in enumerate(predictions))
    print(f"Accuracy: {100 * right / len(predictions):.1f}%")
    return predictions


def one_hot(j):
    return numpy.array([[1.0 if label == k else 0.0 for label in j] for k in range(10)])
