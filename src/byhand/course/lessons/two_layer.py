# %% [markdown]
# # 784-10-10: the smallest network that reads
#
# One hidden layer of ten units, then ten outputs: 7,960 parameters in all, and it reads five digits out of six. Most
# people write this network first, and you will see its notation again: $A$ for the output of a layer, $\alpha$ for the
# learning rate. The functions take the arrays one by one, without dictionaries, and each gets only those that it
# needs.
#
# You can do this notebook before `network.ipynb`, as a short introduction. Or do it afterwards, and see how little of
# your work there depended on the notation.
#
# ### How this notebook works
#
# * A cell that begins with `#Graded` contains a function for you to complete. Write your code at
#   `# write your code here`, and delete the `raise` line below it. Keep the function's name and its arguments.
# * The cell below it is a check with a few numbers. The grader uses other numbers.
# * `byhand course next two-layer.ipynb` shows the next function. `byhand course check two-layer.ipynb` tests
#   everything and names the likely mistake.
#
# | symbol | shape | meaning |
# |---|---|---|
# | $m$ | | number of images in a batch |
# | $X = A_0$ | $(784, m)$ | the images, one per **column**, pixels from 0 to 1 |
# | $Y$ | $(m)$ | the labels, integers from 0 to 9 |
# | $W_1, b_1$ | $(10, 784), (10, 1)$ | weights and biases of the hidden layer |
# | $W_2, b_2$ | $(10, 10), (10, 1)$ | weights and biases of the output layer |
# | $Z_1, A_1, Z_2, A_2$ | $(10, m)$ | the sums and outputs of each layer, before and after its activation $g$ |
# | $\cdot$, $\otimes$ | | the matrix product; the element-wise product of two arrays of the same shape |
#
# ![X (784 by m) goes through W1, b1 and ReLU to A1 (10 by m), through W2, b2 and softmax to A2 (10 by m)](shapes:X[784,m] → A1[10,m] → A2[10,m])

# %%
import contextlib
import io
import os

import numpy as np

try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None  # then there are no plots; everything else works


def parts(value, *names):
    """Return `value`, which must be a tuple or list with one item for each name."""
    assert isinstance(value, (tuple, list)) and len(value) == len(names), f"must return {', '.join(names)}, in this order"
    return value


def compare(name, yours, right):
    """Raise an AssertionError if `yours` is None, or if its shape or numbers differ from those of `right`."""
    assert yours is not None, f"{name} is None: is something returned?"
    yours, right = np.asarray(yours, dtype=float), np.asarray(right, dtype=float)
    assert yours.shape == right.shape, f"{name} must have the shape {right.shape}, yours has {yours.shape}"
    differs = ~np.isclose(yours, right, rtol=1e-5, atol=1e-8)
    if differs.any():
        place = tuple(int(k) for k in np.argwhere(differs)[0])
        where = f"{name}{list(place)}" if place else name
        raise AssertionError(f"{where} must be {right[place]:.8g}, yours is {yours[place]:.8g}")


# %% [markdown]
# ## 1. The data
#
# There is nothing to write here. All training images are shuffled. The first 1,000 (a fifth, if there are fewer than
# 5,000) are the **dev set**: the network never learns from them. Pixels are bytes, and dividing them by 255 gives
# numbers from 0 to 1. With bytes, the sums of the first layer would reach into the thousands, and no learning rate
# would suit both layers.


# %%
if not os.path.exists("digits.npz"):
    raise FileNotFoundError("digits.npz must be next to this notebook: `byhand course start` writes it")
with np.load("digits.npz") as digits:
    images = np.concatenate([digits["train_images"], digits["validation_images"]]).reshape(-1, 784)
    labels = np.concatenate([digits["train_labels"], digits["validation_labels"]])

order = np.random.default_rng(0).permutation(len(labels))
images, labels = images[order], labels[order]
dev = min(1000, len(labels) // 5)
X_dev, Y_dev = images[:dev].T / 255, labels[:dev]
X_train, Y_train = images[dev:].T / 255, labels[dev:]
print("X_train", X_train.shape, "Y_train", Y_train.shape, "X_dev", X_dev.shape, "Y_dev", Y_dev.shape)

# %% [markdown]
# ## 2. Initialization
#
# <!-- task init_params -->
#
# All four arrays start as random numbers between −½ and ½. If they started equal, the ten hidden units would compute
# the same, get the same gradient, and remain ten copies of one unit. `np.random.rand(rows, columns)` draws numbers
# between 0 and 1.
#
# **Why is there a bias at all?** Leave out $b$ and think of an input of zeros. Whatever the weights are, every product
# is 0, and so is every sum. The network must give the same answer for this input before and after training. The bias
# is the term that remains when all inputs are 0.
#
# ![The four arrays and their shapes](shapes:W1[10,784] b1[10,1] W2[10,10] b2[10,1])


# %% graded="init_params"
def init_params():
    """W1, b1, W2, b2 = rand - 0.5

    returns W1: (10, 784), b1: (10, 1), W2: (10, 10), b2: (10, 1)
    """
    ### BEGIN SOLUTION
    W1 = np.random.rand(10, 784) - 0.5
    b1 = np.random.rand(10, 1) - 0.5
    W2 = np.random.rand(10, 10) - 0.5
    b2 = np.random.rand(10, 1) - 0.5
    return W1, b1, W2, b2
    ### END SOLUTION


# %% checks="init_params"
drawn = [parts(init_params(), "W1", "b1", "W2", "b2") for _ in range(10)]  # ten draws, because ten biases can all have the same sign
for name, arrays, shape in zip(("W1", "b1", "W2", "b2"), zip(*drawn), ((10, 784), (10, 1), (10, 10), (10, 1))):
    compare(f"shape of {name}", np.shape(arrays[0]), shape)
    assert -0.5 <= np.min(arrays) < 0 < np.max(arrays) <= 0.5, f"{name} must lie between -0.5 and 0.5, on both sides of 0"
### BEGIN HIDDEN TESTS
first, second = np.concatenate([array.ravel() for array in init_params()]), np.concatenate([array.ravel() for array in init_params()])
assert np.mean(first == second) < 0.01, "must be different numbers in each call"
assert abs(np.mean(first)) < 0.03 and abs(np.std(first) - 12**-0.5) < 0.02, "must be spread evenly from -0.5 to 0.5"
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Forward
#
# <!-- task ReLU -->
#
# Without a nonlinear function between them, two layers are only one: $W_2 (W_1 X + b_1) + b_2$ is again a matrix times
# $X$ plus a column, and the hidden layer is useless. ReLU is nonlinear, because it has a bend: below 0 it is flat, and
# above 0 it returns its input unchanged.
#
# ![Left: two layers without activation give a straight line. Right: with relu between them, the same layers give a line with bends](drawing:bends)


# %% graded="ReLU"
def ReLU(Z):
    """A = max(0, Z), number by number                      Z, A: (n, m)"""
    ### BEGIN SOLUTION
    return np.maximum(0, Z)
    ### END SOLUTION


# %% checks="ReLU"
compare("A", ReLU(np.array([[1.5, -2.0, 0.0], [-0.1, 3.0, 7.0]])), [[1.5, 0.0, 0.0], [0.0, 3.0, 7.0]])
### BEGIN HIDDEN TESTS
Z = np.random.default_rng().normal(size=(4, 7))
compare("A", ReLU(Z.copy()), (Z + np.abs(Z)) / 2)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task softmax -->
#
# Softmax turns ten scores into ten probabilities: all positive, and each column adds up to 1. The sum goes down the
# column, over the ten digits of one image. Python's own `sum` happens to add along the first axis, which is right only
# for this shape. Name the axis instead: `np.sum(…, axis=0, keepdims=True)`.
#
# $e^{710}$ overflows: it is larger than any floating-point number. So subtract the largest score of each column from
# that column first. The quotient stays the same, because the common factor cancels.
#
# ![One column of Z on the left: four scores. The same column of H on the right: four bars that are all positive and add up to 1](drawing:softmax)


# %% graded="softmax"
def softmax(Z):
    """A = e^Z / sum of e^Z, the sum down each column       Z, A: (K, m)"""
    ### BEGIN SOLUTION
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True)
    ### END SOLUTION


# %% checks="softmax"
Z = np.log([[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
compare("A", softmax(Z), [[0.25, 0.25], [0.5, 0.25], [0.25, 0.5]])
compare("A for Z + 1000", softmax(Z + 1000), [[0.25, 0.25], [0.5, 0.25], [0.25, 0.5]])
### BEGIN HIDDEN TESTS
Z = np.random.default_rng().normal(scale=2, size=(6, 6))
right = np.array([[1 / np.sum(np.exp(Z[:, i] - Z[k, i])) for i in range(6)] for k in range(6)])
compare("A", softmax(Z), right)
compare("A for Z + 1000", softmax(Z + 1000), right)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task forward_prop -->
#
# The whole forward pass is four lines, one for each formula. Return all four arrays: the backward pass needs them.
#
# ![W1 (10 by 784) times X (784 by m) plus b1 (10 by 1) is Z1 (10 by m)](shapes:W1[10,784] · X[784,m] + b1[10,1] = Z1[10,m])


# %% graded="forward_prop"
def forward_prop(W1, b1, W2, b2, X):
    """Z1 = W1.X + b1, A1 = ReLU(Z1), Z2 = W2.A1 + b2, A2 = softmax(Z2)

    X: (784, m)   returns Z1, A1, Z2, A2: each (10, m)
    """
    ### BEGIN SOLUTION
    Z1 = W1.dot(X) + b1
    A1 = ReLU(Z1)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2
    ### END SOLUTION


# %% checks="forward_prop"
X, eye = np.array([[1.0, 2.0], [3.0, -4.0]]), np.eye(2)
Z1, A1, Z2, A2 = parts(forward_prop(eye, np.ones((2, 1)), eye, -np.ones((2, 1)), X), "Z1", "A1", "Z2", "A2")
compare("Z1", Z1, [[2.0, 3.0], [4.0, -3.0]])
compare("A1", A1, [[2.0, 3.0], [4.0, 0.0]])
compare("Z2", Z2, [[1.0, 2.0], [3.0, -1.0]])
compare("A2", A2, [[0.11920292, 0.95257413], [0.88079708, 0.04742587]])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
W1, b1, W2, b2 = rng.normal(size=(4, 6)), rng.normal(size=(4, 1)), rng.normal(size=(4, 4)), rng.normal(size=(4, 1))
X = rng.normal(size=(6, 5))
Z1, A1, Z2, A2 = forward_prop(W1, b1, W2, b2, X)
sums = np.einsum("ij,jm->im", W1, X) + b1
scores = np.einsum("ij,jm->im", W2, np.where(sums > 0, sums, 0)) + b2
compare("Z1", Z1, sums)
compare("A1", A1, np.where(sums > 0, sums, 0))
compare("Z2", Z2, scores)
compare("A2", A2, np.exp(scores) / np.exp(scores).sum(axis=0))
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Backward
#
# The loss is the cross-entropy: minus the logarithm of the probability of the right digit, averaged over the images.
# The backward pass starts from the loss and computes its derivatives with respect to all 7,960 parameters, layer by
# layer.
#
# > **Backward**
# > * $dZ_2 = A_2 - Y$, with $Y$ one-hot
# > * $dW_2 = \frac{1}{m}\, dZ_2 \cdot A_1^T \qquad db_2 = \frac{1}{m} \sum dZ_2$
# > * $dZ_1 = W_2^T \cdot dZ_2 \otimes g'(Z_1)$
# > * $dW_1 = \frac{1}{m}\, dZ_1 \cdot X^T \qquad db_1 = \frac{1}{m} \sum dZ_1$
#
# <!-- task ReLU_deriv -->
#
# The slope of ReLU is 1 where $Z$ is positive and 0 elsewhere. `True` and `False` count as 1 and 0.


# %% graded="ReLU_deriv"
def ReLU_deriv(Z):
    """g'(Z) = 1 where Z > 0, 0 elsewhere                   Z: (n, m)"""
    ### BEGIN SOLUTION
    return Z > 0
    ### END SOLUTION


# %% checks="ReLU_deriv"
compare("slope", ReLU_deriv(np.array([[2.0, -2.0], [0.0, 0.5]])), [[1.0, 0.0], [0.0, 1.0]])
### BEGIN HIDDEN TESTS
Z = np.random.default_rng().normal(size=(4, 6))
compare("slope", ReLU_deriv(Z.copy()), np.where(Z > 0, 1, 0))
### END HIDDEN TESTS

# %% [markdown]
# <!-- task one_hot -->
#
# One-hot encoding turns a label into a column of ten numbers: a one in the label's row, zeros elsewhere. There are
# always ten rows. A batch without a nine still has ten classes, and `Y.max() + 1` would give only nine or fewer.
#
# ![The label 3 as a column of ten numbers: a one in row 3, zeros elsewhere; labels 5 and 0 beside it](drawing:one_hot)


# %% graded="one_hot"
def one_hot(Y):
    """1 in row Y[i] of column i, 0 elsewhere               Y: (m,)   returns (10, m)"""
    ### BEGIN SOLUTION
    columns = np.zeros((10, len(Y)))
    columns[Y, np.arange(len(Y))] = 1
    return columns
    ### END SOLUTION


# %% checks="one_hot"
compare("one-hot", one_hot(np.array([3, 0, 3])), np.eye(10)[:, [3, 0, 3]])
compare("one-hot of a nine", one_hot(np.array([9])), np.eye(10)[:, [9]])
### BEGIN HIDDEN TESTS
labels = np.random.default_rng().integers(7, size=12)
compare("one-hot", one_hot(labels.copy()), (np.arange(10)[:, None] == labels) * 1.0)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task backward_prop -->
#
# Write six lines, in the order of the formulas above. In $dZ$, each image has its own column. $dW$ and $db$ combine
# the images, so there, once, you divide by $m$, the number of columns.
#
# The trap of this network is $db$. `np.sum(dZ2)` without an axis adds up everything to **one** number. Each column of
# $A_2 - Y$ adds up to 0, so this number is always 0. $b_2$ then never changes, there is no error, and the network
# learns slightly worse than it could. Sum over the images only: `axis=1, keepdims=True` gives one number per unit,
# with the shape (10, 1).
#
# The check below measures the derivatives of a smaller network. It makes each parameter a little larger, then a little
# smaller, and compares the two losses. That is the definition of a derivative, so a wrong formula does not pass. It is
# called a **gradient check**.
#
# ![dZ2 (10 by m) times A1 transposed (m by 10) is dW2 (10 by 10)](shapes:dZ2[10,m] · A1ᵀ[m,10] = dW2[10,10])
#
# ![dZ1 (10 by m) times X transposed (m by 784) is dW1 (10 by 784)](shapes:dZ1[10,m] · Xᵀ[m,784] = dW1[10,784])


# %% graded="backward_prop"
def backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y):
    """dZ2 = A2 - Y, dW2 = 1/m dZ2.A1^T, db2 = 1/m sum of dZ2, dZ1 = W2^T.dZ2 * g'(Z1), dW1 and db1 like those of 2

    X: (784, m)   Y: (m,) labels   returns dW1, db1, dW2, db2: of the shapes of W1, b1, W2, b2
    """
    m = X.shape[1]
    ### BEGIN SOLUTION
    dZ2 = A2 - one_hot(Y)
    dW2 = dZ2.dot(A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = W2.T.dot(dZ2) * ReLU_deriv(Z1)
    dW1 = dZ1.dot(X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return dW1, db1, dW2, db2
    ### END SOLUTION


# %% checks="backward_prop"
rng = np.random.RandomState(1)
P = {"W1": rng.rand(10, 3) - 0.5, "b1": rng.rand(10, 1) - 0.5, "W2": rng.rand(10, 10) - 0.5, "b2": rng.rand(10, 1) - 0.5}
X, Y = rng.rand(3, 7), np.array([3, 0, 9, 3, 5, 1, 2])
found = parts(backward_prop(*forward_prop(**P, X=X), P["W1"], P["W2"], X, Y), "dW1", "db1", "dW2", "db2")
for (name, value), yours in zip(P.items(), found):
    slope = np.zeros(value.shape)
    for place in np.ndindex(*value.shape):
        step = np.zeros(value.shape)
        step[place] = 1e-5
        above = forward_prop(**{**P, name: value + step}, X=X)[3][Y, np.arange(7)]
        below = forward_prop(**{**P, name: value - step}, X=X)[3][Y, np.arange(7)]
        slope[place] = (np.mean(np.log(below)) - np.mean(np.log(above))) / 2e-5
    compare(f"d{name}, as measured by differences,", yours, slope)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
W1, b1, W2, b2 = (rng.random(shape) - 0.5 for shape in ((10, 6), (10, 1), (10, 10), (10, 1)))
X, Y = rng.random((6, 9)), rng.integers(10, size=9)
Z1 = W1 @ X + b1
A1 = np.maximum(Z1, 0)
Z2 = W2 @ A1 + b2
A2 = np.exp(Z2) / np.exp(Z2).sum(axis=0)
dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2.copy(), W1, W2, X, Y)
D2 = A2 - np.eye(10)[:, Y]
D1 = np.where(Z1 > 0, np.einsum("ij,im->jm", W2, D2), 0)
compare("dW2", dW2, np.einsum("im,jm->ij", D2, A1) / 9)
compare("db2", db2, np.mean(D2, axis=1).reshape(10, 1))
compare("dW1", dW1, np.einsum("im,jm->ij", D1, X) / 9)
compare("db1", db1, np.mean(D1, axis=1).reshape(10, 1))
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Gradient descent
#
# <!-- task update_params -->
#
# The derivative points uphill, so you **subtract** the step, which is $\alpha$ times the derivative. The old value
# remains part of the new one.
#
# ![A curve of the loss over one weight: each step goes against the slope, long where it is steep, short where it is flat](drawing:descent)


# %% graded="update_params"
def update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha):
    """W1 := W1 - alpha dW1, b1 := b1 - alpha db1, W2 := W2 - alpha dW2, b2 := b2 - alpha db2; returns the new four"""
    ### BEGIN SOLUTION
    W1 = W1 - alpha * dW1
    b1 = b1 - alpha * db1
    W2 = W2 - alpha * dW2
    b2 = b2 - alpha * db2
    return W1, b1, W2, b2
    ### END SOLUTION


# %% checks="update_params"
old, slopes = [np.full((2, 2), k) for k in (1.0, 2.0, 3.0, 4.0)], [np.full((2, 2), k) for k in (10.0, -10.0, 0.0, 1.0)]
new = parts(update_params(*old, *slopes, 0.1), "W1", "b1", "W2", "b2")
for name, yours, right in zip(("W1", "b1", "W2", "b2"), new, (0.0, 3.0, 3.0, 3.9)):
    compare(name, yours, np.full((2, 2), right))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
old, slopes = rng.normal(size=(4, 3, 3)), rng.normal(size=(4, 3, 3))
for name, yours, right in zip(("W1", "b1", "W2", "b2"), update_params(*old.copy(), *slopes, 0.3), old - 0.3 * slopes):
    compare(name, yours, right)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task get_predictions -->
#
# The prediction is the digit with the largest probability: `np.argmax` down each column.


# %% graded="get_predictions"
def get_predictions(A2):
    """The row of the largest number in each column         A2: (K, m)   returns (m,)"""
    ### BEGIN SOLUTION
    return np.argmax(A2, axis=0)
    ### END SOLUTION


# %% checks="get_predictions"
compare("predictions", get_predictions(np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3], [0.3, 0.1, 0.6]])), [1, 0, 2])
### BEGIN HIDDEN TESTS
A2 = np.random.default_rng().random((10, 10))
compare("predictions", get_predictions(A2), [max(range(10), key=lambda k: A2[k, i]) for i in range(10)])
### END HIDDEN TESTS

# %% [markdown]
# <!-- task get_accuracy -->
#
# The accuracy is the fraction of predictions that are right, a number from 0 to 1.


# %% graded="get_accuracy"
def get_accuracy(predictions, Y):
    """The fraction of predictions that are right            predictions, Y: (m,)"""
    ### BEGIN SOLUTION
    return np.mean(predictions == Y)
    ### END SOLUTION


# %% checks="get_accuracy"
compare("accuracy", get_accuracy(np.array([3, 1, 4, 1]), np.array([3, 1, 4, 2])), 0.75)
### BEGIN HIDDEN TESTS
labels = np.random.default_rng().integers(10, size=40)
compare("accuracy", get_accuracy(np.where(np.arange(40) < 13, labels, (labels + 1) % 10), labels), 13 / 40)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task gradient_descent -->
#
# Now put everything together. Call `init_params` once, then repeat `iterations` times: forward, backward, update. In
# every tenth iteration (the first is number 0), print the accuracy on `X`, so that you can watch the network learn.


# %% graded="gradient_descent"
def gradient_descent(X, Y, alpha, iterations):
    """Initialize, then `iterations` times: forward, backward, update

    X: (784, m), pixels from 0 to 1   Y: (m,)   returns W1, b1, W2, b2
    """
    W1, b1, W2, b2 = init_params()
    ### BEGIN SOLUTION
    for i in range(iterations):
        Z1, A1, Z2, A2 = forward_prop(W1, b1, W2, b2, X)
        dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y)
        W1, b1, W2, b2 = update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha)
        if i % 10 == 0:
            print(f"Iteration: {i}  accuracy: {get_accuracy(get_predictions(A2), Y):.4f}")
    return W1, b1, W2, b2
    ### END SOLUTION


# %% checks="gradient_descent"
X, Y = np.kron(np.eye(4), np.full((196, 1), 0.1)), np.array([3, 1, 4, 1])
np.random.seed(0)  # from a few starts in a hundred thousand all units die, even if the code is right
with contextlib.redirect_stdout(io.StringIO()) as printed:
    learned = parts(gradient_descent(X, Y, 0.5, 200), "W1", "b1", "W2", "b2")
compare("predictions after 200 iterations on four images", get_predictions(forward_prop(*learned, X)[3]), Y)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
X, Y = rng.random((784, 20)), rng.integers(10, size=20)
V1, c1, V2, c2 = begin = [rng.random(shape) - 0.5 for shape in ((10, 784), (10, 1), (10, 10), (10, 1))]
names = gradient_descent.__globals__  # start from these arrays, whichever generator init_params uses
yours, names["init_params"] = names["init_params"], lambda: tuple(array.copy() for array in begin)
try:
    with contextlib.redirect_stdout(io.StringIO()):
        W1, b1, W2, b2 = gradient_descent(X, Y, 0.1, 3)
finally:
    names["init_params"] = yours
for _ in range(3):
    S1 = V1 @ X + c1
    E = np.exp(V2 @ np.maximum(S1, 0) + c2)
    D2 = (E / E.sum(axis=0) - np.eye(10)[:, Y]) / 20
    D1 = V2.T @ D2 * (S1 > 0)
    V2, c2 = V2 - 0.1 * D2 @ np.maximum(S1, 0).T, c2 - 0.1 * D2.sum(axis=1, keepdims=True)
    V1, c1 = V1 - 0.1 * D1 @ X.T, c1 - 0.1 * D1.sum(axis=1, keepdims=True)
for name, yours, right in (("W1", W1, V1), ("b1", b1, c1), ("W2", W2, V2), ("b2", b2, c2)):
    compare(name, yours, right)
### END HIDDEN TESTS

# %% [markdown]
# ### The run
#
# The run uses $\alpha = 0.1$ and 500 iterations on all training images. On the full MNIST it takes a minute or two.
# The accuracy on the training images starts near 10 %, passes 50 % at about iteration 50, and ends near 84 %. The
# start is random, so no two runs are the same. On the bundled sample it takes a few seconds.

# %%
ITERATIONS = 500
if "NBGRADER_EXECUTION" in os.environ:
    ITERATIONS = 20  # a grading program allows 30 seconds per cell; your points don't depend on this run

W1, b1, W2, b2 = gradient_descent(X_train, Y_train, 0.1, ITERATIONS)

# %% [markdown]
# <!-- task make_predictions -->
#
# New images need no backward pass, only a forward pass.


# %% graded="make_predictions"
def make_predictions(X, W1, b1, W2, b2):
    """The predicted digit of each image                     X: (784, m), pixels from 0 to 1   returns (m,)"""
    ### BEGIN SOLUTION
    _, _, _, A2 = forward_prop(W1, b1, W2, b2, X)
    return get_predictions(A2)
    ### END SOLUTION


# %% checks="make_predictions"
four, eye, zero = np.eye(10)[:, [3, 1, 4, 1]], np.eye(10), np.zeros((10, 1))
compare("predictions", make_predictions(four, eye, zero, eye, zero), [3, 1, 4, 1])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
answers = rng.integers(10, size=15)
compare("predictions", make_predictions(np.eye(10)[:, answers], 2 * np.eye(10), np.ones((10, 1)), np.eye(10), -np.ones((10, 1))), answers)
### END HIDDEN TESTS

# %% [markdown]
# How well does the network read the dev set? With a thousand images, the accuracy is only exact to about two points in
# either direction. So don't report tenths of a percent.


# %%
def test_prediction(index, W1, b1, W2, b2):
    """Show the prediction for one image of the dev set, its label, and the image."""
    prediction = make_predictions(X_dev[:, index, None], W1, b1, W2, b2)
    print("Prediction:", prediction[0])
    print("Label:", Y_dev[index])
    if plt is None:
        for row in X_dev[:, index].reshape(28, 28)[::2]:
            print("".join(" .:-=+*#%@"[int(pixel * 9.99)] for pixel in row))
        return
    plt.figure(figsize=(1.5, 1.5))
    plt.imshow(X_dev[:, index].reshape(28, 28), cmap="gray_r")
    plt.axis("off")
    plt.show()


print("accuracy on the dev set:", get_accuracy(make_predictions(X_dev, W1, b1, W2, b2), Y_dev))
for index in (0, 100, 200):
    test_prediction(index, W1, b1, W2, b2)

# %% [markdown]
# The network has only ten hidden units, and it reads. Two things limit it now: its size, and that each step uses all
# the images. Chapter 8 of `network.ipynb` is about the second. This program comes from Samson Zhang's "Understanding
# the math behind neural networks by building one from scratch". Many people have learned from it, and so have we.
