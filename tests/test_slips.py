"""Mistakes of users of scikit-learn, Keras or PyTorch, and with own data: each gives one line with what to type."""

from types import SimpleNamespace

import numpy as np
import pytest

import byhand
from byhand.errors import ByhandError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, 6, 6), dtype=np.uint8)
LABELS = np.arange(30) % 3
NAMES = {
    "byhand": byhand,
    "np": np,
    "I": IMAGES,
    "X": (IMAGES.reshape(30, 36) / 255).astype(np.float32),
    "y": LABELS,
    "Y": np.eye(3)[LABELS],
    "color": np.zeros((30, 6, 6, 3), np.uint8),
    "frame": SimpleNamespace(columns=["label"]),
}


def model():
    return byhand.Model([36, 4, 3], seed=0)


SLIPS = {
    # the data of fit
    "model.fit(X.T, y)": "X must have the shape (N, 36) with N of at least 1, got (36, 30): use X.T",
    "model.fit(y, X)": "got (30,): X comes first, then y",
    "model.fit(X)": "got an array float32 (30, 36): pass the labels too, fit(model, X, y)",
    "model.fit((X, y, y))": "got a tuple of 3: pass weights as sample_weights",
    "model.fit(X, y[1:])": "y must have the shape (30,) or (30, 3), got (29,)",
    "model.fit(X[:, :9], y)": "X must have the shape (N, 36) with N of at least 1, got (30, 9)",
    "model.fit(X, y + 1)": "labels must be integers 0 to 2, got 1 to 3: use y - 1",
    "model.fit(X, y * 10)": "got 0 to 20: number them with np.unique(y, return_inverse=True)[1]",
    "model.fit(X, np.array(list('abc'))[y])": "labels must be among the model's classes 0 1 2, got 'a': use Model(…, ",
    "model.fit(X, np.where(y == 2, np.nan, y))": "labels must be integers 0 to 2, got NaN",
    "model.fit(np.where(X > 0.5, np.nan, X), y)": "X must be finite, got nan in row 0, column ",
    "model.fit(X, np.where(Y == 1, np.nan, Y), loss='mse')": "y must be finite, got nan in row 0, column 0",
    "model.fit(X * 255, y)": "X must be of the order of 1, got 0 to 255: divide bytes by 255, or standardize each",
    "model.fit(color.transpose(0, 3, 1, 2), y)": "the channels must be last, (N, H, W, 3), got (30, 3, 6, 6): use X.tr",
    "model.fit(color, y)": "got (30, 6, 6, 3): colors need a model with 108 inputs",
    "model.fit([[1.0], [1.0, 2.0]], [0, 1])": "X must have rows of one length, got a list of 2 with different ones",
    "model.fit((row for row in X), y)": "X must be an array, got a generator: use np.array(list(X))",
    "model.fit(zip(X, y))": "data must be a Dataset or a pair (X, y), got a zip: make two arrays of it, X and y",
    "model.fit(list(zip(X, y)))": "data must be a pair (X, y), got a list of 30: make two arrays, X and y",
    "model.fit(frame)": "got a SimpleNamespace: use byhand.load(data).train",
    "model.fit('digits.csv')": "got 'digits.csv': use byhand.load('digits.csv').train",
    "model.fit(X.astype(str), y)": "X must be numbers, got <U",
    "model.fit(X, y, validation_data=X)": "pass the labels too, fit(model, X, y)",
    "byhand.fit(X, y)": "model must be a Model, got an array float32 (30, 36): use Model(…) or Model.load(…)",
    # the settings of fit
    "model.fit(X, y, max_iter=3)": "unknown setting 'max_iter' (did you mean epochs?)",
    "model.fit(X, y, validation_split=0.1)": "unknown setting 'validation_split' (did you mean validation?)",
    "model.fit(X, y, metrics=['accuracy'])": """unknown setting 'metrics' (history["accuracy"] is always there)""",
    "model.fit(X, y, shuffle=True)": "unknown setting 'shuffle' (samples are always shuffled)",
    "model.fit(X, y, random_state=0)": "unknown setting 'random_state' (did you mean seed?)",
    "model.fit(X, y, optimizer='Adam')": "got 'Adam' (did you mean adam?)",
    "model.fit(X, y, loss='sparse_categorical_crossentropy')": "(did you mean cross_entropy?)",
    "model.fit(X, y, loss='squared_error')": "(did you mean mse?)",
    "model.fit(X, y, epochs='10')": "epochs must be a positive integer, got '10'",
    "model.fit(X, y, callbacks=[print])": "callbacks must be a list of objects of a subclass of byhand.training.",
    # the model
    "byhand.Model(36, 4, 3)": "sizes must be one list: use Model([36, 4, 3])",
    "byhand.Model(36)": "sizes must be a list such as [784, 128, 10], got 36",
    "byhand.Model('m.safetensors')": "got 'm.safetensors'; byhand.load_model reads files",
    "byhand.Model([36, 3], hidden_layer_sizes=(4,))": "(did you mean Model([784, 128, 10])?)",
    "byhand.Model([36, 3], optimizer='adam')": "(did you mean byhand.fit(model, data, optimizer=…)?)",
    "byhand.Model([36, 4, 3], activation='ReLU')": "got 'ReLU' (did you mean relu?)",
    "byhand.Model([36, 4, 3], activation='softmax')": "got 'softmax' (softmax is part of the loss)",
    "byhand.Model([36, 3], maps=[4], shape=(5, 7))": "got 36 pixels: pass shape=(height, width), for color",
    "model.compile(optimizer='adam')": "'compile' (did you mean byhand.fit(model, data, optimizer=…, loss=…)?)",
    "model.score(X, y)": "no attribute 'score' (did you mean accuracy?)",
    # predictions
    "model.predict('digit.png')": "got 'digit.png': use byhand.read(path, model)",
    "model.predict(X.T)": "images must be (N, H, W) with 36 pixels each, got (36, 30): use images.T",
    "model.predict(X * np.nan)": "the model scales them itself; got NaN",
    "model.predict(row for row in X)": "images must be an array, got a generator: use np.array(list(images))",
    "model.predict(color)": "images must be (N, H, W) with 36 pixels each, got (30, 6, 6, 3)",
    "model.evaluate(X, y)": "evaluate needs a Dataset, got arrays: use model.accuracy(X, y)",
    "byhand.read(None)": "must be a path, the bytes of a file, a Pillow image or an array uint8 (H, W), got None",
    # the package
    "byhand.Sequential()": "no attribute 'Sequential' (did you mean byhand.Model([784, 128, 10])?)",
    "byhand.load_data()": """no attribute 'load_data' (did you mean byhand.load("mnist")?)""",
    "byhand.MLPClassifier()": "(did you mean from byhand.sklearn import NetworkClassifier?)",
    "byhand.load((y, I))": "images must be bytes (N, H, W), got uint8 (30,); the labels come second",
    "byhand.load((I, Y))": "labels must be integers (N,), got int64 (30, 3): use y.argmax(axis=1) for one-hot rows",
    "byhand.load(X)": "data must be a name, a path, a data frame, (images, labels) or a pair of those, got an array",
    "byhand.History().history": """History has no attribute 'history' (did you mean history["loss"]?)""",
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_gives_one_line_with_what_to_type(slip):
    with pytest.raises((ByhandError, AttributeError)) as caught:
        eval(slip, NAMES | {"model": model()})
    message = str(caught.value)
    assert SLIPS[slip] in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "call",
    [
        "model.fit(I, y, epochs=1)",
        "model.fit(I[:, None], y, epochs=1)",
        "model.fit(X.reshape(30, 6, 6, 1), y, epochs=1)",
        "model.fit(X.tolist(), y.tolist(), epochs=1)",
        "model.fit(X, y[:, None].astype(str), epochs=1)",
        "model.fit(X, Y, epochs=1)",
        "model.fit(X, y, epochs=1, optimizer='adam', validation_data=(I, y))",
        "model.predict(I[:, None])",
        "model.predict(I[..., None])",
        "model.accuracy(I, Y)",
    ],
)
def test_unambiguous_arrays_are_accepted(call):
    assert eval(call, NAMES | {"model": model()}) is not None
