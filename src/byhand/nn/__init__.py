"""The mathematics of the network, and nothing else: floats in, floats out.

Nothing here reads a file, prints, or knows what a digit is. Read `network`, then `layers` (and `convolution`); the rest
is what they call.

The names, used in every file of this room:

    symbol       shape       meaning
    N                        number of samples in a batch
    X            (N, D)      inputs; a row is a sample, so a batch is a slice of rows
    W, b         (D, n) (n,) weights and biases of a dense layer: Z = X W + b
    P      (N·places, D)     what a convolution's window sees in each of its places: Z = P W + b
    Z, H         (N, n)      sums before, answers after the activation: H = g(Z)
    y, Y         (N,) (N, K) labels as integers, as one-hot rows or probabilities
    dZ, dW, …    as Z, W, …  the derivative of the mean loss by that thing

`byhand.reference` writes the same formulas with samples in columns, as the assignment does: its Z is ours transposed.
"""
