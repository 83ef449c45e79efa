"""Gradients, optimizers, clipping and batch normalization equal PyTorch's, in float64."""

import numpy as np
import pytest

from byhand.nn import optimizers
from byhand.nn.backprop import Pass
from byhand.nn.layers import Activation, BatchNorm, Dense
from byhand.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from byhand.nn.network import Network
from byhand.nn.optimizers import Adam, AdamW, GradientDescent, Momentum, RMSprop
from byhand.nn.rng import StepKey

TRAINING = StepKey(seed=0, step=0)
ACTIVATIONS = ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "identity"]


def torch_activation(torch, name):
    nn = torch.nn
    return {
        "relu": nn.ReLU(),
        "leaky_relu": nn.LeakyReLU(0.01),
        "sigmoid": nn.Sigmoid(),
        "tanh": nn.Tanh(),
        "gelu": nn.GELU(approximate="tanh"),
        "identity": nn.Identity(),
    }[name]


def twin(torch, network):
    """Return the same network in PyTorch, with the same parameters."""
    modules = []
    for layer in network.layers:
        if isinstance(layer, Dense):
            module = torch.nn.Linear(layer.inputs, layer.units, dtype=torch.float64)
            pairs = (module.weight, layer.W.T), (module.bias, layer.b)
        elif isinstance(layer, BatchNorm):
            module = torch.nn.BatchNorm1d(layer.units, eps=layer.epsilon, momentum=layer.momentum, dtype=torch.float64)
            pairs = (module.weight, layer.gamma), (module.bias, layer.beta)
        else:
            assert isinstance(layer, Activation)
            module, pairs = torch_activation(torch, layer.function.name), ()
        with torch.no_grad():
            for theirs, ours in pairs:
                theirs.copy_(torch.tensor(np.ascontiguousarray(ours)))
        modules.append(module)
    return torch.nn.Sequential(*modules)


def compare_gradients(network, gradient, model):
    views = network.by_layer(gradient)
    for layer, view, module in zip(network.layers, views, model, strict=True):
        if isinstance(layer, Dense):
            np.testing.assert_allclose(view["W"], module.weight.grad.numpy().T, rtol=0, atol=1e-10)
            np.testing.assert_allclose(view["b"], module.bias.grad.numpy(), rtol=0, atol=1e-10)
        elif isinstance(layer, BatchNorm):
            np.testing.assert_allclose(view["gamma"], module.weight.grad.numpy(), rtol=0, atol=1e-10)
            np.testing.assert_allclose(view["beta"], module.bias.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(24))
def test_gradients_of_random_architectures_equal_those_of_torch(torch, seed):
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, 20, rng.integers(2, 6))]
    sizes[-1] = max(2, sizes[-1])
    N, K = int(rng.integers(2, 40)), sizes[-1]
    network = Network(
        sizes,
        rng=rng,
        activation=ACTIVATIONS[seed % len(ACTIVATIONS)],
        batch_norm=bool(rng.integers(2)),
        init=["he", "glorot", "lecun", "two_layer"][rng.integers(4)],
        dtype=np.float64,
    )
    network.parameters += 0.1 * rng.standard_normal(network.size)
    X = rng.standard_normal((N, sizes[0])) * 2
    y = rng.integers(0, K, N)
    weights = rng.random(N) + 0.1
    smoothing = 0.0 if seed % 3 else 0.1
    model = twin(torch, network)

    Xt = torch.tensor(X)
    if seed % 4 == 3:
        Y = rng.standard_normal((N, K))
        loss, target = MeanSquaredError(), Y
        theirs = torch.nn.functional.mse_loss(model(Xt), torch.tensor(Y))
        weights = None
    else:
        loss, target = SoftmaxCrossEntropy(smoothing), y
        each = torch.nn.functional.cross_entropy(
            model(Xt), torch.tensor(y), label_smoothing=smoothing, reduction="none"
        )
        theirs = (each * torch.tensor(weights)).sum() / weights.sum()
    theirs.backward()

    pass_ = Pass(network)
    value, dout = loss(pass_.forward(X, TRAINING), target, weights=weights)
    pass_.backward(dout)
    assert value == pytest.approx(theirs.item(), abs=1e-12)
    compare_gradients(network, pass_.gradient, model)


def test_batch_norm_equals_that_of_torch_in_training_and_inference(torch):
    rng = np.random.default_rng(1)
    network = Network([6, 5, 3], rng=rng, batch_norm=True, activation="tanh", dtype=np.float64)
    network.parameters += 0.3 * rng.standard_normal(network.size)
    model = twin(torch, network)
    norm, theirs = network.layers[1], model[1]

    model.train()
    pass_ = Pass(network)
    for step in range(7):
        X = rng.standard_normal((int(rng.integers(2, 30)), 6)) * (1 + step)
        out = pass_.forward(X, StepKey(0, step))
        before = network.statistics.copy()
        np.testing.assert_array_equal(before, network.statistics)
        np.testing.assert_allclose(out, model(torch.tensor(X)).detach().numpy(), rtol=0, atol=1e-12)
        pass_.update_statistics(len(X))
        np.testing.assert_allclose(norm.mean, theirs.running_mean.numpy(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(norm.variance, theirs.running_var.numpy(), rtol=0, atol=1e-12)

    # In inference the running averages are constants, in the backward pass too.
    model.eval()
    model.zero_grad()
    X = rng.standard_normal((11, 6))
    y = rng.integers(0, 3, 11)
    theirs = torch.nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(y))
    theirs.backward()
    value, dout = SoftmaxCrossEntropy()(pass_.forward(X), y)
    pass_.backward(dout)
    assert value == pytest.approx(theirs.item(), abs=1e-12)
    compare_gradients(network, pass_.gradient, model)


RULES = {
    "sgd": (GradientDescent(), "SGD", {}),
    "sgd, decay": (GradientDescent(weight_decay=0.03), "SGD", {}),
    "momentum": (Momentum(momentum=0.8), "SGD", {"momentum": 0.8}),
    "nesterov": (Momentum(nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
    "nesterov, decay": (Momentum(0.02, 0.7, True), "SGD", {"momentum": 0.7, "nesterov": True}),
    "rmsprop": (RMSprop(), "RMSprop", {"alpha": 0.99, "eps": 1e-8}),
    "rmsprop, decay": (RMSprop(0.05, alpha=0.9, epsilon=1e-3), "RMSprop", {"alpha": 0.9, "eps": 1e-3}),
    "adam": (Adam(), "Adam", {"betas": (0.9, 0.999), "eps": 1e-8}),
    "adam, decay": (Adam(0.05, 0.8, 0.95, 1e-4), "Adam", {"betas": (0.8, 0.95), "eps": 1e-4}),
    "adamw": (AdamW(), "AdamW", {"betas": (0.9, 0.999), "eps": 1e-8}),
    "adamw, decay": (AdamW(0.3, 0.8, 0.95, 1e-4), "AdamW", {"betas": (0.8, 0.95), "eps": 1e-4}),
}


@pytest.mark.parametrize("chunk", [optimizers.CHUNK, 7], ids=["whole", "in chunks"])
@pytest.mark.parametrize("name", RULES)
def test_first_50_steps_of_each_optimizer_equal_those_of_torch(torch, name, chunk, monkeypatch):
    rule, theirs, settings = RULES[name]
    monkeypatch.setattr(optimizers, "CHUNK", chunk)
    rng = np.random.default_rng(3)
    weights, size = 30, 45
    p = rng.standard_normal(size)
    w = torch.tensor(p[:weights].copy(), requires_grad=True)
    b = torch.tensor(p[weights:].copy(), requires_grad=True)
    groups = [{"params": [w], "weight_decay": rule.weight_decay}, {"params": [b], "weight_decay": 0.0}]
    peer = getattr(torch.optim, theirs)(groups, lr=0.1, **settings)
    state = rule.start(p)
    pull = rng.random(size)
    for step in range(50):
        rate = 0.05 * (1 + np.sin(step / 5)) + 1e-3
        g = pull * p + 0.3 * rng.standard_normal(size)
        w.grad, b.grad = torch.tensor(g[:weights].copy()), torch.tensor(g[weights:].copy())
        for group in peer.param_groups:
            group["lr"] = rate
        peer.step()
        kept = g.copy()
        rule.update(p, g, state, rate, weight_slice=slice(0, weights))
        np.testing.assert_array_equal(g, kept, "the optimizer changed the gradient")
        np.testing.assert_allclose(p[:weights], w.detach().numpy(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(p[weights:], b.detach().numpy(), rtol=0, atol=1e-12)
    assert int(state["steps"][0]) == 50
