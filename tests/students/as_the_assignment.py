"""A solution in the notation of the assignment."""

import numpy as np
import matplotlib.pyplot as plt

def sigmoid(Z):
    H = 1/(1+np.exp(-Z))
    sigmoid_memory = Z
    return H, sigmoid_memory

def relu(Z):
    H = np.maximum(0,Z)
    assert(H.shape == Z.shape)
    relu_memory = Z
    return H, relu_memory

def softmax(Z):
    e = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return e/np.sum(e, axis=0, keepdims=True), Z

def initialize_parameters(dimensions):
    np.random.seed(2)
    parameters = {}
    for l in range(1, len(dimensions)):
        parameters['W' + str(l)] = np.random.randn(dimensions[l], dimensions[l-1]) * 0.1
        parameters['b' + str(l)] = np.zeros((dimensions[l], 1))
    return parameters

def layer_forward(H_prev, W, b, activation='relu'):
    if activation == "sigmoid":
        Z = np.dot(W, H_prev) + b
        linear_memory = (H_prev, W, b)
        H, activation_memory = sigmoid(Z)
    elif activation == "softmax":
        Z = np.dot(W, H_prev) + b
        linear_memory = (H_prev, W, b)
        H, activation_memory = softmax(Z)
    elif activation == "relu":
        Z = np.dot(W, H_prev) + b
        linear_memory = (H_prev, W, b)
        H, activation_memory = relu(Z)
    assert (H.shape == (W.shape[0], H_prev.shape[1]))
    return H, (linear_memory, activation_memory)

def L_layer_forward(X, parameters):
    memories = []
    H = X
    L = len(parameters) // 2
    for l in range(1, L):
        H_prev = H
        H, memory = layer_forward(H_prev, parameters['W' + str(l)], parameters['b' + str(l)], activation='relu')
        memories.append(memory)
    HL, memory = layer_forward(H, parameters['W' + str(L)], parameters['b' + str(L)], activation='softmax')
    memories.append(memory)
    assert(HL.shape == (10, X.shape[1]))
    return HL, memories

def compute_loss(HL, Y):
    m = Y.shape[1]
    loss = (-1./m) * np.sum(np.multiply(Y, np.log(HL)))
    loss = np.squeeze(loss)
    assert(loss.shape == ())
    return loss

def sigmoid_backward(dH, sigmoid_memory):
    Z = sigmoid_memory
    H = 1/(1+np.exp(-Z))
    dZ = dH * H * (1-H)
    return dZ

def relu_backward(dH, relu_memory):
    Z = relu_memory
    dZ = np.array(dH, copy=True)
    dZ[Z <= 0] = 0
    return dZ

def layer_backward(dH, memory, activation='relu'):
    linear_memory, activation_memory = memory
    if activation == "relu":
        dZ = relu_backward(dH, activation_memory)
    elif activation == "sigmoid":
        dZ = sigmoid_backward(dH, activation_memory)
    H_prev, W, b = linear_memory
    m = H_prev.shape[1]
    dW = (1./m) * np.dot(dZ, H_prev.T)
    db = (1./m) * np.sum(dZ, axis=1, keepdims=True)
    dH_prev = np.dot(W.T, dZ)
    return dH_prev, dW, db

def L_layer_backward(HL, Y, memories):
    gradients = {}
    L = len(memories)
    m = HL.shape[1]
    Y = Y.reshape(HL.shape)
    linear_memory, activation_memory = memories[-1]
    dZ = HL - Y
    H_prev, W, b = linear_memory
    gradients["dH" + str(L-1)] = np.dot(W.T, dZ)
    gradients["dW" + str(L)] = (1./m) * np.dot(dZ, H_prev.T)
    gradients["db" + str(L)] = (1./m) * np.sum(dZ, axis=1, keepdims=True)
    for l in reversed(range(L-1)):
        current_memory = memories[l]
        dH_prev_temp, dW_temp, db_temp = layer_backward(gradients["dH" + str(l + 1)], current_memory, activation="relu")
        gradients["dH" + str(l)] = dH_prev_temp
        gradients["dW" + str(l + 1)] = dW_temp
        gradients["db" + str(l + 1)] = db_temp
    return gradients

def update_parameters(parameters, gradients, learning_rate):
    L = len(parameters) // 2
    for l in range(L):
        parameters["W" + str(l+1)] = parameters["W" + str(l+1)] - learning_rate * gradients["dW" + str(l+1)]
        parameters["b" + str(l+1)] = parameters["b" + str(l+1)] - learning_rate * gradients["db" + str(l+1)]
    return parameters

def L_layer_model(X, Y, dimensions, learning_rate=0.0075, num_iterations=3000, print_loss=False):
    np.random.seed(2)
    losses = []
    parameters = initialize_parameters(dimensions)
    for i in range(0, num_iterations):
        HL, memories = L_layer_forward(X, parameters)
        loss = compute_loss(HL, Y)
        gradients = L_layer_backward(HL, Y, memories)
        parameters = update_parameters(parameters, gradients, learning_rate)
        if print_loss and i % 100 == 0:
            print("Loss after iteration %i: %f" % (i, loss))
            losses.append(loss)
    plt.plot(np.squeeze(losses))
    plt.ylabel('loss')
    plt.show()
    return parameters

def predict(X, y, parameters):
    m = X.shape[1]
    probas, caches = L_layer_forward(X, parameters)
    probas = np.argmax(probas, axis=0)
    y_label = np.argmax(y, axis=0)
    print("Accuracy: " + str(np.sum((probas == y_label)/m)))
    return probas
