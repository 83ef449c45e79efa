"""784-45-10 in Keras, with the backend that KERAS_BACKEND names."""

import os

os.environ.setdefault("JAX_ENABLE_X64", "1")  # if the backend is JAX

import keras
from start import W1, W2, X, b1, b2, iterations, labels, rate

keras.config.set_floatx("float64")
model = keras.Sequential(
    [
        keras.Input((784,)),
        keras.layers.Dense(45, activation="relu"),
        keras.layers.Dense(10),
    ]
)
model.set_weights([W1.T, b1, W2.T, b2])
loss = keras.losses.SparseCategoricalCrossentropy
model.compile(
    optimizer=keras.optimizers.SGD(rate),
    loss=loss(from_logits=True),
)

history = model.fit(
    X,
    labels,
    epochs=iterations,
    batch_size=len(X),
    verbose=0,
)
for loss in history.history["loss"]:
    print(f"{loss:.8f}")
