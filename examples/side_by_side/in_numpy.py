"""784-45-10 with the functions of byhand's reference page."""

from start import W1, W2, X, b1, b2, iterations, labels, rate

from byhand.reference.l_layer import L_layer_backward, L_layer_forward, compute_loss, one_hot, update_parameters

parameters = {
    "W1": W1,
    "b1": b1[:, None],
    "W2": W2,
    "b2": b2[:, None],
}
Y = one_hot(labels)

for _ in range(iterations):
    HL, memories = L_layer_forward(X.T, parameters)
    print(f"{compute_loss(HL, Y):.8f}")
    gradients = L_layer_backward(HL, Y, memories)
    parameters = update_parameters(parameters, gradients, rate)
