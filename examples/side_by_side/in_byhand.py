"""784-45-10 in byhand's machine."""

from start import W1, W2, X, b1, b2, iterations, labels, rate

import byhand
from byhand.nn.optimizers import GradientDescent

model = byhand.Model([784, 45, 10], dtype=float)
first, last = model.network.dense
first.W[...], first.b[...] = W1.T, b1
last.W[...], last.b[...] = W2.T, b2

history = byhand.fit(
    model,
    X,
    labels,
    epochs=iterations,
    batch_size=None,
    learning_rate=rate,
    optimizer=GradientDescent(),
    schedule="constant",
    verbose=False,
)
for loss in history["loss"]:
    print(f"{loss:.8f}")
