"""The mathematics of the network: forward pass, losses, backpropagation, optimizers. It needs only NumPy.

Read `network` first, then `layers`, `convolution` and `backprop`. All modules of this package use one notation:

    symbol       shape       meaning
    N                        number of samples in a batch
    X            (N, D)      inputs, one sample per row: a block of the batch is a slice of rows
    W, b         (D, n) (n,) weights and biases of a dense layer: Z = X W + b
    P      (N·places, D)     the windows of a convolution as rows (im2col): Z = P W + b
    Z, H         (N, n)      sums before the activation function g, and its outputs: H = g(Z)
    y, Y         (N,) (N, K) labels as integers; the same as one-hot rows, or probabilities
    dZ, dW, …    as Z, W, …  gradient of the mean loss with respect to Z, W, …

`byhand.reference` has one sample per column, as the assignment does: its Z is the transpose of this one.
"""
