"""Shared by all programs of this folder: 200 images as rows, their labels, the first weights and the learning rate."""

import byhand
from byhand.reference.l_layer import initialize_parameters

train = byhand.load("mnist-5k").train
X, labels = train.images[:200].reshape(200, 784) / 255, train.labels[:200].astype(int)
parameters = initialize_parameters([784, 45, 10])
W1, W2 = parameters["W1"], parameters["W2"]
b1, b2 = parameters["b1"][:, 0], parameters["b2"][:, 0]
rate, iterations = 0.1, 5
