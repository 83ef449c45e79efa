"""One training step computed a second time, for tests of explanations: plain formulas, float64, no byhand code.

`recompute` returns every array of a step under the explanation's name for it, from the parameters, inputs and labels.
Kinds, names and settings of the layers are read from `network.config()`.
"""

import numpy as np

LEAK = 0.01


def activate(name, Z):
    """Return the activation and its slope."""
    if name == "relu":
        return np.where(Z > 0, Z, 0), np.where(Z > 0, 1.0, 0.0)
    if name == "leaky_relu":
        return np.where(Z > 0, Z, LEAK * Z), np.where(Z > 0, 1.0, LEAK)
    if name == "sigmoid":
        H = 1 / (1 + np.exp(-Z))
        return H, H * (1 - H)
    if name == "tanh":
        return np.tanh(Z), 1 / np.cosh(Z) ** 2
    if name == "identity":
        return Z, np.ones_like(Z)
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (Z + 0.044715 * Z**3))
    return 0.5 * Z * (1 + t), 0.5 * (1 + t) + 0.5 * Z * (1 - t**2) * c * (1 + 3 * 0.044715 * Z**2)


def im2col(layer, x):
    """Return the contents of a convolution's windows, one row per position, and the index of each element."""
    size, stride, channels = layer["size"], layer["stride"], layer["channels"]
    inputs = []
    for top in range(0, layer["height"] - size + 1, stride):
        for left in range(0, layer["width"] - size + 1, stride):
            lines, columns = range(top, top + size), range(left, left + size)
            pixels = [y * layer["width"] + z for y in lines for z in columns]
            inputs.append([pixel * channels + c for pixel in pixels for c in range(channels)])
    return np.concatenate([sample[inputs] for sample in x]), np.array(inputs)


def recompute(config, parameters, X, y, *, rate, loss="cross_entropy", smoothing=0.0, masks=()):  # noqa: PLR0912, PLR0915
    """Return name → array of the whole step; `masks` are the dropout masks in the order of the layers."""
    a = {"X": X}
    N = len(X)
    masks = list(masks)
    backward = []
    number, source = 0, "X"
    for i, layer in enumerate(config):
        kind = layer["kind"]
        number += kind in ("dense", "convolution")
        x = a[source]
        if kind == "dense":
            W, b = parameters[f"{i}.W"], parameters[f"{i}.b"]
            a[f"W{number}"], a[f"b{number}"], result, out = W, b, f"Z{number}", x @ W + b
            backward.append((kind, number, source, result, (x, W, f"{i}")))
        elif kind == "convolution":
            W, b, result = parameters[f"{i}.W"], parameters[f"{i}.b"], f"Z{number}"
            seen, inputs = im2col(layer, x)
            a[f"P{number}"], a[f"W{number}"], a[f"b{number}"] = seen, W, b
            out = (seen @ W + b).reshape(N, -1)
            backward.append((kind, number, source, result, (seen, inputs, W, f"{i}")))
        elif kind == "activation":
            result = f"H{number}"
            out, slope = activate(layer["name"], x)
            backward.append((kind, number, source, result, slope))
        elif kind == "dropout":
            result, mask = f"D{number}", masks.pop(0)
            a[f"M{number}"] = mask
            out = x * mask / (1 - layer["rate"])
            backward.append((kind, number, source, result, mask / (1 - layer["rate"])))
        else:
            result = f"B{number}"
            gamma, beta = parameters[f"{i}.gamma"], parameters[f"{i}.beta"]
            mean, variance = x.mean(axis=0), x.var(axis=0)
            a[f"μ{number}"], a[f"σ²{number}"], a[f"γ{number}"], a[f"β{number}"] = mean, variance, gamma, beta
            deviation = np.sqrt(variance + layer["epsilon"])
            hat = (x - mean) / deviation
            unbiased = x.var(axis=0, ddof=1)
            a[f"Δmean{number}"] = layer["momentum"] * (mean - parameters[f"{i}.mean"])
            a[f"Δvariance{number}"] = layer["momentum"] * (unbiased - parameters[f"{i}.variance"])
            out = gamma * hat + beta
            backward.append((kind, number, source, result, (hat, deviation, gamma, f"{i}")))
        a[result], source = out, result
    Z = a[source]
    K = Z.shape[1]
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    a["P"] = P
    Y = np.eye(K)[y]
    if loss == "mse":
        a["loss"] = np.mean((Z - Y) ** 2)
        d = 2 * (Z - Y) / (N * K)
    else:
        target = (1 - smoothing) * Y + smoothing / K
        a["loss"] = -np.sum(target * np.log(P)) / N
        d = (P - target) / N
    new = dict(parameters)
    a[f"d{source}"] = d
    for kind, number, below, _, kept in reversed(backward):
        if kind == "dense":
            x, W, i = kept
            a[f"dW{number}"], a[f"db{number}"] = x.T @ d, d.sum(axis=0)
            new[f"{i}.W"] = W - rate * a[f"dW{number}"]
            new[f"{i}.b"] = parameters[f"{i}.b"] - rate * a[f"db{number}"]
            a[f"ΔW{number}"], a[f"Δb{number}"] = -rate * a[f"dW{number}"], -rate * a[f"db{number}"]
            d = d @ W.T
        elif kind == "convolution":
            seen, inputs, W, i = kept
            d = d.reshape(len(seen), -1)
            a[f"dW{number}"], a[f"db{number}"] = seen.T @ d, d.sum(axis=0)
            new[f"{i}.W"] = W - rate * a[f"dW{number}"]
            new[f"{i}.b"] = parameters[f"{i}.b"] - rate * a[f"db{number}"]
            a[f"ΔW{number}"], a[f"Δb{number}"] = -rate * a[f"dW{number}"], -rate * a[f"db{number}"]
            upstream = (d @ W.T).reshape(N, *inputs.shape)
            d = np.zeros_like(a[below])
            for n in range(N):
                np.add.at(d[n], inputs, upstream[n])
        elif kind == "batch_norm":
            hat, deviation, gamma, i = kept
            a[f"dγ{number}"], a[f"dβ{number}"] = (d * hat).sum(axis=0), d.sum(axis=0)
            new[f"{i}.gamma"] = gamma - rate * a[f"dγ{number}"]
            new[f"{i}.beta"] = parameters[f"{i}.beta"] - rate * a[f"dβ{number}"]
            a[f"Δγ{number}"], a[f"Δβ{number}"] = -rate * a[f"dγ{number}"], -rate * a[f"dβ{number}"]
            g = d * gamma
            d = (g - g.mean(axis=0) - hat * (g * hat).mean(axis=0)) / deviation
        else:
            d = d * kept
        a[f"d{below}"] = d
    a["new"] = new
    return a
