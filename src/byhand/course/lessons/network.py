# %% [markdown]
# # A neural network, written by hand
#
# You are going to write a program that reads handwritten digits. 784 pixels go in, and one of ten digits comes out.
# You never describe to the program what a seven looks like. It starts with random numbers and looks at a few thousand
# examples. After each look it changes its numbers a little, so that its answers become less wrong. You write every
# product and every derivative yourself: about a hundred lines of NumPy, with nothing hidden behind them.
#
# ### How this notebook works
#
# * A cell that begins with `#Graded` contains a function for you to complete. Write your code at
#   `# write your code here`, and delete the `raise` line below it. Keep the function's name and its arguments.
# * The cell below it is a check. Run it: it stops at the first mistake and prints the expected value, or it reports
#   that your function passed. The check uses only a few numbers, and the grader uses others. So a passed check is good
#   news, but no proof.
# * In a terminal, `byhand course next` shows the next function to write. `byhand course check network.ipynb` tests
#   everything you have written with new numbers and names the likely mistake.
# * You decide how to write it: loops, `@`, `np.dot` and `np.einsum` are all fine if the numbers are right.
#
# ### Notation
#
# One sample is always one **column**. If you learn to read the shapes below, you avoid half of all mistakes.
#
# | symbol | shape | meaning |
# |---|---|---|
# | $m$ | | number of samples in a batch |
# | $L$, $n_l$ | | number of layers, and number of units in layer $l$; $n_0 = 784$ is the number of pixels |
# | $X = H_0$ | $(n_0, m)$ | the images, one per column |
# | $W_l$, $b_l$ | $(n_l, n_{l-1})$, $(n_l, 1)$ | weights and biases of layer $l$: the parameters that are learned |
# | $Z_l$, $H_l$ | $(n_l, m)$ | the sums of layer $l$ before its activation, and the outputs after it |
# | $H_L$, $Y$ | $(10, m)$ | the predicted probabilities, and the labels (one-hot) |
# | $\cdot$, $\otimes$ | | the matrix product; the element-wise product of two arrays of the same shape |
# | $d\dots$ | same as without $d$ | derivative of the loss with respect to that quantity: $dW$, $db$, $dZ$, $dH$ |

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
# ## 1. Data preparation
#
# There is nothing to write in this chapter. Read it, because all later chapters build on it.
#
# The images are MNIST: digits that people wrote by hand, centered, with $28 \times 28$ gray pixels each. A pixel is
# one byte. The images are stored in `digits.npz` next to this notebook, in three sets. You train on the first, the
# *training* set. The second, the *validation* set, is for choosing, for example the learning rate or the number of
# units. The *test* set is for the end, and you use it once. If you choose settings by it, you have learned from it,
# and its accuracy is no longer an honest measure.


# %%
def load_data():
    """Return ((images, labels), (images, labels), (images, labels)) for training, validation, test

    images: (m, 784) bytes from 0 to 255, one image per row        labels: (m,) integers from 0 to 9
    """
    if not os.path.exists("digits.npz"):
        raise FileNotFoundError("digits.npz must be next to this notebook: `byhand course start` writes it")
    with np.load("digits.npz") as digits:
        sets = [(digits[f"{part}_images"], digits[f"{part}_labels"]) for part in ("train", "validation", "test")]
    return tuple((images.reshape(len(images), -1), labels) for images, labels in sets)


def show(images, titles):
    """Show images in a row, from bytes (k, 784); as characters if Matplotlib is not installed."""
    if plt is None:
        for image, title in zip(images, titles):
            print(title)
            for row in image.reshape(28, 28)[::2]:
                print("".join(" .:-=+*#%@"[int(pixel) * 10 // 256] for pixel in row))
        return
    figure, places = plt.subplots(1, len(images), figsize=(1.2 * len(images), 1.5), squeeze=False)
    for place, image, title in zip(places[0], images, titles):
        place.imshow(image.reshape(28, 28), cmap="gray_r")
        place.set_title(title, fontsize=10)
        place.axis("off")
    plt.show()


training_data, validation_data, test_data = load_data()
for name, (images, labels) in zip(("training", "validation", "test"), (training_data, validation_data, test_data)):
    print(f"{name:>10}: {images.shape[0]} images of {images.shape[1]} pixels")
show(training_data[0][:8], training_data[1][:8])

# %% [markdown]
# Three things happen before the images reach the network.
#
# **Each image becomes a column.** A layer computes $W \cdot X$. With the images side by side as columns, one product
# computes the layer for all of them at once.
#
# **Bytes become fractions.** The values 0 … 255 are divided by 256. Chapter 7 shows what happens if the network
# receives bytes.
#
# **A label becomes a column of ten numbers**: nine zeros and a one. A seven is not more than a three. It is something
# different. As ten separate outputs, the digits have no order that could mislead the network, and it can give each
# digit its own probability. This is called *one-hot encoding*.
#
# ![The label 3 as a column of ten numbers: a one in row 3, zeros elsewhere; labels 5 and 0 beside it](drawing:one_hot)


# %%
def one_hot(j):
    """Y[k, i] = 1 where sample i is the digit k, 0 elsewhere               j: (m,)   Y: (10, m)"""
    Y = np.zeros((10, len(j)))
    Y[j, np.arange(len(j))] = 1
    return Y


def data_wrapper():
    """train_set_x (784, m), train_set_y (10, m), test_set_x, test_set_y: one image per column, pixels from 0 to 1"""
    (X, y), _, (X_test, y_test) = load_data()
    return X.T / 256, one_hot(y), X_test.T / 256, one_hot(y_test)


train_set_x, train_set_y, test_set_x, test_set_y = data_wrapper()
print("train_set_x shape:", train_set_x.shape)
print("train_set_y shape:", train_set_y.shape)
print("test_set_x shape:", test_set_x.shape)
print("test_set_y shape:", test_set_y.shape)

# %% [markdown]
# ## 2. Feedforward
#
# A **unit** does something very simple. It multiplies each output of the layer below by a weight, adds up the
# products, and adds one more number, the bias. Then it passes the sum through a fixed curve, the activation function.
# A **layer** is many units that receive the same numbers but have different weights. A network is several layers on
# top of each other.
#
# This is the whole **forward pass**, from the images to the probabilities, for all $m$ images at once:
#
# ![The forward algorithm. Step 1: H0 = X. Step 2, for l = 1 to L−1: Zl = Wl·Hl−1 + bl, Hl = relu(Zl). Step 3: HL = softmax(WL·HL−1 + bL). Each layer keeps its memory: Hl−1, Wl, bl and Zl](drawing:forward)
#
# > **Forward**
# > 1. $H_0 = X$
# > 2. for $l = 1, \dots, L-1$:
# >    * 2.1 $\; Z_l = W_l \cdot H_{l-1} + b_l$
# >    * 2.2 $\; H_l = \mathrm{relu}(Z_l)$
# > 3. $H_L = \mathrm{softmax}(W_L \cdot H_{L-1} + b_L)$
#
# All samples go through the network together: the whole data set is one batch. And each layer **remembers** its
# inputs: $(H_{l-1}, W_l, b_l)$ is its `linear_memory`, and $Z_l$ is its `activation_memory`. The backward pass needs
# them, and computing them twice would be a waste.
#
# ### Why a bias?
#
# Think of a blank image: every pixel is 0. Whatever the weights are, the weighted sum is 0. So without a bias, a unit
# always gives the same output for this image. Training cannot change that, because no weight has any effect there. In
# general, the weights set *what* a unit responds to. Without a bias, it responds as soon as the weighted sum is above
# 0. The bias moves this threshold: the bias is the value of the sum when all inputs are 0.
#
# ### Why an activation?
#
# Leave it out and stack two layers:
#
# $$W_2 (W_1 X + b_1) + b_2 \;=\; (W_2 W_1)\, X + (W_2 b_1 + b_2).$$
#
# The right-hand side is *one* layer, with the weights $W_2 W_1$ and the bias $W_2 b_1 + b_2$. A hundred layers without
# activations would also be just one layer, at a hundred times the cost. Any bend between the layers changes that. Such
# a bend is a *nonlinear* activation function, and `relu` is the simplest one.
#
# ![Left: two layers without activation give a straight line. Right: with relu between them, the same layers give a line with bends](drawing:bends)

# %% [markdown]
# ### The three activations
#
# ![The curves of sigmoid and relu, and below each its slope](drawing:activations)
#
# <!-- task sigmoid -->
#
# The sigmoid squeezes any number into the range from 0 to 1. Far below zero it is close to 0, which means "no". Far
# above zero it is close to 1, which means "yes". At 0 it is one half, undecided. For decades it was the usual
# activation function. Look at its slope in the figure: it is never more than a quarter, and far from zero it is almost
# 0. A network learns through these slopes. So a deep network with sigmoids learns slowly in its first layers: this is
# the *vanishing gradient*.
#
# $$H = \frac{1}{1 + e^{-Z}}$$
#
# ![Z and H have the same shape](shapes:Z[n,m] → H[n,m])
#
# `np.exp` works on a whole array, number by number, and so do `+` and `/`, so you need no loop. Return two things: `H`
# and the memory, which is `Z` itself.


# %% graded="sigmoid"
def sigmoid(Z):
    """H = 1 / (1 + e^-Z), number by number

    Z: (n, m)   returns H: (n, m), sigmoid_memory: Z itself
    """
    ### BEGIN SOLUTION
    H = 1 / (1 + np.exp(-Z))
    sigmoid_memory = Z
    return H, sigmoid_memory
    ### END SOLUTION


# %% checks="sigmoid"
Z = np.array([[0.0, np.log(3), 30.0], [-np.log(3), -30.0, 0.0]])
H, memory = parts(sigmoid(Z), "H", "sigmoid_memory")
compare("H", H, [[0.5, 0.75, 1.0], [0.25, 0.0, 0.5]])
compare("sigmoid_memory", memory, Z)
### BEGIN HIDDEN TESTS
Z = np.random.default_rng().normal(scale=3, size=(4, 7))
Z[0, 0] = 800.0
H, memory = sigmoid(Z)
compare("H", H, np.tanh(Z / 2) / 2 + 0.5)
compare("sigmoid_memory", memory, Z)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task relu -->
#
# ReLU keeps positive numbers unchanged and replaces negative ones by 0. That is all: one bend, at 0. Its slope is 1
# for positive $Z$, so the gradient passes through at full strength. For negative $Z$ the slope is 0. It costs almost
# nothing to compute.
#
# $$H = \max(0, Z)$$
#
# ![Z and H have the same shape](shapes:Z[n,m] → H[n,m])
#
# Note the difference between `np.max`, the largest number *in* one array, and `np.maximum`, the larger of *two*
# numbers at each position.


# %% graded="relu"
def relu(Z):
    """H = max(0, Z), number by number

    Z: (n, m)   returns H: (n, m), relu_memory: Z itself
    """
    ### BEGIN SOLUTION
    H = np.maximum(0, Z)
    relu_memory = Z
    return H, relu_memory
    ### END SOLUTION


# %% checks="relu"
Z = np.array([[1.5, -2.0, 0.0], [-0.1, 3.0, 7.0]])
H, memory = parts(relu(Z.copy()), "H", "relu_memory")
compare("H", H, [[1.5, 0.0, 0.0], [0.0, 3.0, 7.0]])
compare("relu_memory", memory, Z)
### BEGIN HIDDEN TESTS
Z = np.random.default_rng().normal(size=(4, 7))
H, memory = relu(Z.copy())
compare("H", H, (Z + np.abs(Z)) / 2)
compare("relu_memory", memory, Z)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task softmax -->
#
# The last layer has ten sums, one score for each digit. The scores are called *logits*, and they can be any numbers:
# 3.1, −8, 20. We want ten *probabilities* instead: none of them negative, with the sum 1. ReLU does not guarantee
# that. A sigmoid for each digit could give both the 3 and the 8 a probability near 1 for the same image. With softmax,
# the ten scores compete: $e^Z$ makes every score positive, and dividing by the sum makes the column add up to 1.
#
# $$H_{k} = \frac{e^{Z_{k}}}{\sum_{j} e^{Z_{j}}} \qquad \text{in each column by itself}$$
#
# ![One column of Z on the left: four scores. The same column of H on the right: four bars that are all positive and add up to 1](drawing:softmax)
#
# The sum goes **down the column**, over the ten digits of one sample, never over the samples. That is `axis=0`.
# `keepdims=True` keeps the shape $(1, m)$, so that NumPy divides each column by its own sum.
#
# There is one danger: $e^{710}$ is larger than any floating-point number (*overflow*). But the quotient stays the same
# if you subtract one number from all scores of a column, because $e^{Z - c} = e^Z / e^c$ and $e^c$ cancels. So
# subtract the largest score of each column first. Then the largest power is $e^0 = 1$, and nothing can overflow.


# %% graded="softmax"
def softmax(Z):
    """H = e^Z / sum of e^Z, the sum down each column

    Z: (K, m)   returns H: (K, m), softmax_memory: Z itself
    """
    ### BEGIN SOLUTION
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    H = E / np.sum(E, axis=0, keepdims=True)
    softmax_memory = Z
    return H, softmax_memory
    ### END SOLUTION


# %% checks="softmax"
H, memory = parts(softmax(np.log([[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]])), "H", "softmax_memory")
compare("H", H, [[0.25, 0.25], [0.5, 0.25], [0.25, 0.5]])
Z = np.array([[11.0, 19.0, 10.0], [12.0, 21.0, 23.0]])
H, memory = softmax(Z)
compare("H", H, [[0.268941421, 0.119202922, 2.26032430e-06], [0.731058579, 0.880797078, 0.99999774]])
compare("softmax_memory", memory, Z)
compare("H for Z + 1000", softmax(Z + 1000)[0], H)
### BEGIN HIDDEN TESTS
Z = np.random.default_rng().normal(scale=2, size=(6, 6))
H, memory = softmax(Z)
compare("H", H, [[1 / np.sum(np.exp(Z[:, i] - Z[k, i])) for i in range(6)] for k in range(6)])
compare("softmax_memory", memory, Z)
compare("H for Z + 1000", softmax(Z + 1000)[0], H)
### END HIDDEN TESTS

# %% [markdown]
# ### The parameters
#
# <!-- task initialize_parameters -->
#
# Where should learning start? Not with equal weights. Then all units of a layer would compute the same, get the same
# corrections and change in the same way. All of them together would act like a single unit forever. Random weights
# make the units different.
#
# The weights should also be small. Large sums would make the network very certain of random answers, and it would have
# to unlearn them first.
#
# The biases may all start at 0: random weights are enough.
#
# $$W_l = 0.1 \cdot \mathrm{randn}(n_l, n_{l-1}) \qquad b_l = 0 \qquad l = 1, \dots, L$$
#
# ![For dimensions 784, 45, 10: W1 is 45 by 784, b1 45 by 1, W2 10 by 45, b2 10 by 1](shapes:W1[45,784] b1[45,1] W2[10,45] b2[10,1])
#
# `dimensions` is a list such as `[784, 45, 10]`. Its first number is the number of inputs, not a layer. Fill the
# dictionary with `"W1"`, `"b1"`, `"W2"`, `"b2"`, … in this order, layer by layer. The random generator has the seed 2,
# so everyone starts from the same numbers and can compare results. Draw the weights with `rng.randn(rows, columns)`.


# %% graded="initialize_parameters"
def initialize_parameters(dimensions):
    """Wl = 0.1 * randn(n_l, n_l-1), bl = 0, for l = 1 ... L

    dimensions: [n_0, n_1, ..., n_L]   returns a dictionary with W1, b1, ..., WL, bL
    """
    rng = np.random.RandomState(2)
    parameters = {}
    ### BEGIN SOLUTION
    for l in range(1, len(dimensions)):
        parameters[f"W{l}"] = rng.randn(dimensions[l], dimensions[l - 1]) * 0.1
        parameters[f"b{l}"] = np.zeros((dimensions[l], 1))
    return parameters
    ### END SOLUTION


# %% checks="initialize_parameters"
parameters = initialize_parameters([4, 3, 2])
assert isinstance(parameters, dict), "must return the dictionary parameters"
assert sorted(parameters) == ["W1", "W2", "b1", "b2"], f"must contain W1, b1, W2, b2, yours contains {sorted(parameters)}"
compare("b1", parameters["b1"], np.zeros((3, 1)))
compare("b2", parameters["b2"], np.zeros((2, 1)))
compare("first row of W1", parameters["W1"][0], [-0.04167578, -0.00562668, -0.21361961, 0.16402708])
compare("W2", parameters["W2"], [[0.00415393, -0.11179254, 0.05390583], [-0.05961597, -0.00191305, 0.11750013]])
### BEGIN HIDDEN TESTS
dimensions = [int(n) for n in np.random.default_rng().integers(2, 9, size=4)]
parameters, stream = initialize_parameters(dimensions), np.random.RandomState(2)
assert len(parameters) == 6
for l in (1, 2, 3):
    compare(f"W{l}", parameters[f"W{l}"], stream.standard_normal((dimensions[l], dimensions[l - 1])) / 10)
    compare(f"b{l}", parameters[f"b{l}"], np.zeros((dimensions[l], 1)))
### END HIDDEN TESTS

# %% [markdown]
# ### One layer, then all of them
#
# <!-- task layer_forward -->
#
# This function computes one layer for all samples at once.
#
# Row $k$ of $W$ contains the weights of unit $k$, and column $i$ of $H_{\text{prev}}$ is sample $i$. So row $k$,
# column $i$ of the product is the sum of unit $k$ for sample $i$. That is why a sample is a column: the matrix product
# multiplies and adds exactly the numbers that belong together.
#
# $$Z = W \cdot H_{\text{prev}} + b \qquad H = \mathrm{activation}(Z)$$
#
# ![W (n by n_prev) times H_prev (n_prev by m) plus b (n by 1) is Z (n by m)](shapes:W[n,n_prev] · H_prev[n_prev,m] + b[n,1] = Z[n,m])
#
# $b$ has one column and $Z$ has $m$: NumPy adds $b$ to every column. This is called **broadcasting**, and here it is
# what you want. It can also happen where you don't want it, and then NumPy gives no warning.
#
# `activation` is a string: `"sigmoid"`, `"relu"` or `"softmax"`. Call the function of that name. It returns `H` and
# `activation_memory`.


# %% graded="layer_forward"
def layer_forward(H_prev, W, b, activation="relu"):
    """Z = W . H_prev + b, H = activation(Z)

    H_prev: (n_prev, m)   W: (n, n_prev)   b: (n, 1)   activation: "sigmoid", "relu" or "softmax"
    returns H: (n, m), memory: (linear_memory, activation_memory) = ((H_prev, W, b), Z)
    """
    ### BEGIN SOLUTION
    linear_memory = (H_prev, W, b)
    Z = W @ H_prev + b
    if activation == "sigmoid":
        H, activation_memory = sigmoid(Z)
    elif activation == "relu":
        H, activation_memory = relu(Z)
    else:
        H, activation_memory = softmax(Z)
    return H, (linear_memory, activation_memory)
    ### END SOLUTION


# %% checks="layer_forward"
H_prev = np.array([[1.0, 0.0, 5.0, 10.0, 2.0], [2.0, 5.0, 3.0, 10.0, 2.0]])
W, b = np.array([[10.0, 5.0], [2.0, 0.0], [1.0, 0.0]]), np.array([[10.0], [5.0], [0.0]])
H, memory = parts(layer_forward(H_prev, W, b, "sigmoid"), "H", "memory")
compare("second row of H", H[1], [0.99908895, 0.99330715, 0.99999969, 1.0, 0.99987661])
compare("third row of H", H[2], [0.73105858, 0.5, 0.99330715, 0.9999546, 0.88079708])
linear_memory, activation_memory = parts(memory, "linear_memory", "activation_memory")
for name, array, right in zip(("H_prev", "W", "b"), parts(linear_memory, "H_prev", "W", "b"), (H_prev, W, b)):
    compare(f"{name} in linear_memory", array, right)
compare("activation_memory", activation_memory, [[30, 35, 75, 160, 40], [7, 5, 15, 25, 9], [1, 0, 5, 10, 2]])
compare("H with relu", layer_forward(H_prev, W, b - 20, "relu")[0][0], [10.0, 15.0, 55.0, 140.0, 20.0])
compare("sums down H with softmax", layer_forward(H_prev, W, b, "softmax")[0].sum(axis=0), np.ones(5))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
H_prev, W, b = rng.normal(size=(4, 6)), rng.normal(size=(4, 4)), rng.normal(size=(4, 1))
Z = np.einsum("ij,jk->ik", W, H_prev) + b
for activation, right in (
    ("sigmoid", np.tanh(Z / 2) / 2 + 0.5),
    ("relu", (Z + np.abs(Z)) / 2),
    ("softmax", np.exp(Z) / np.exp(Z).sum(axis=0)),
):
    H, memory = layer_forward(H_prev, W, b, activation)
    compare(f"H with {activation}", H, right)
    compare("activation_memory", memory[1], Z)
    compare("H_prev in linear_memory", memory[0][0], H_prev)
    compare("W in linear_memory", memory[0][1], W)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task L_layer_forward -->
#
# Now stack the layers. The `H` of each layer is the `H_prev` of the next one. All layers use relu except the last,
# which uses softmax because its outputs must be probabilities. Collect the memories in a list, starting with the first
# layer.
#
# ![X is H0; relu layers in a loop; the last layer is outside it, with softmax; its H is HL](shapes:X[n_0,m] → H1[n_1,m] → H2[n_2,m] → HL[10,m])
#
# The number of layers follows from the dictionary: each layer has two entries, a `W` and a `b`. Your function must
# work for any number of layers, even for one. Then the loop does nothing.


# %% graded="L_layer_forward"
def L_layer_forward(X, parameters):
    """H0 = X, Hl = relu(Wl . Hl-1 + bl) for l = 1 ... L-1, HL = softmax(WL . HL-1 + bL)

    X: (n_0, m)   returns HL: (K, m), memories: a list with the memory of each layer, first layer first
    """
    memories = []
    L = len(parameters) // 2
    ### BEGIN SOLUTION
    H = X
    for l in range(1, L):
        H, memory = layer_forward(H, parameters[f"W{l}"], parameters[f"b{l}"], "relu")
        memories.append(memory)
    HL, memory = layer_forward(H, parameters[f"W{L}"], parameters[f"b{L}"], "softmax")
    memories.append(memory)
    return HL, memories
    ### END SOLUTION


# %% checks="L_layer_forward"
X = np.array([[1.0, 2.0], [3.0, -4.0]])
parameters = {"W1": np.eye(2), "b1": np.zeros((2, 1)), "W2": np.eye(2), "b2": np.zeros((2, 1))}
HL, memories = parts(L_layer_forward(X, parameters), "HL", "memories")
compare("HL", HL, [[0.11920292, 0.88079708], [0.88079708, 0.11920292]])
assert len(memories) == 2, f"memories must contain one memory for each of the 2 layers, yours contains {len(memories)}"
compare("Z of layer 2", memories[1][1], [[1.0, 2.0], [3.0, 0.0]])
compare("H_prev of layer 2", memories[1][0][0], [[1.0, 2.0], [3.0, 0.0]])
HL, memories = L_layer_forward(X, {"W1": np.eye(2), "b1": np.ones((2, 1))})
compare("HL of a network with one layer", HL, [[0.11920292, 0.99752738], [0.88079708, 0.00247262]])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
X, n = rng.normal(size=(5, 7)), (5, 4, 6, 3)
parameters = {f"W{l}": rng.normal(size=(n[l], n[l - 1])) for l in (1, 2, 3)}
parameters |= {f"b{l}": rng.normal(size=(n[l], 1)) for l in (1, 2, 3)}
HL, memories = L_layer_forward(X, parameters)
H, sums = X, []
for l in (1, 2, 3):
    sums.append(parameters[f"W{l}"].dot(H) + parameters[f"b{l}"])
    H = np.where(sums[-1] > 0, sums[-1], 0)
compare("HL", HL, np.exp(sums[-1]) / np.exp(sums[-1]).sum(axis=0))
assert len(memories) == 3
for l in (1, 2, 3):
    compare(f"Z of layer {l}", memories[l - 1][1], sums[l - 1])
### END HIDDEN TESTS

# %% [markdown]
# Your network can already give answers. It has learned nothing yet, so they are only guesses. But they are
# probabilities: each column adds up to 1.

# %%
HL, _ = L_layer_forward(train_set_x[:, :4], initialize_parameters([784, 45, 10]))
print(np.round(HL, 2))
print("predictions:", HL.argmax(axis=0), "  labels:", training_data[1][:4])

# %% [markdown]
# ## 3. Loss
#
# How wrong is an answer? We need one number, the **loss**, which training can make smaller. It should change smoothly,
# because training looks for the direction in which it falls. The fraction of wrong answers does not work: if you move
# a weight a little, usually not a single answer changes.
#
# Take the probability $p$ that the network gave to the *right* digit, and compute $-\ln p$. If the network was sure
# and right, $p = 1$, the loss is 0. If all ten digits were equally likely, $p = 0.1$, the loss is
# $\ln 10 \approx 2.303$. If the network was sure of another digit, $p$ is nearly 0, and the loss grows without limit:
# being wrong is forgivable, being wrong and certain is expensive. This is the **cross-entropy** loss.
#
# ![The curve of minus log p: 0 at p = 1, 2.3 at p = 0.1, and steeply up toward p = 0](drawing:loss)
#
# <!-- task compute_loss -->
#
# $Y$ is one-hot. So the element-wise product $Y \otimes \ln H_L$ keeps the one number in each column that counts, and
# sets the other nine to 0. Add up all entries, change the sign, and divide by the number of **samples**. The loss is
# the mean over the samples, not over the $10\,m$ entries.
#
# $$\text{loss} = -\frac{1}{m} \sum Y \otimes \ln H_L$$
#
# There is one trap.
#
# A probability may be so small that it is stored as exactly 0. Then $\ln 0$ is minus infinity, and $0 \cdot (-\infty)$
# is not a number (NaN). This single entry makes the whole sum NaN, although its factor in $Y$ is 0.
#
# The solution: `np.where(Y > 0, HL, 1)` is a copy of `HL` with a 1 wherever $Y$ is 0, and $\ln 1 = 0$. In NumPy, the
# natural logarithm $\ln$ is called `np.log`.
#
# ![HL and Y have the same shape, the loss is one number](shapes:Y[K,m] ⊗ log-HL[K,m] → loss[1,1])


# %% graded="compute_loss"
def compute_loss(HL, Y):
    """loss = -1/m * sum of Y * log(HL)

    HL, Y: (K, m)   returns one number
    """
    m = Y.shape[1]
    ### BEGIN SOLUTION
    log_HL = np.log(np.where(Y > 0, HL, 1))
    return -np.sum(Y * log_HL) / m
    ### END SOLUTION


# %% checks="compute_loss"
HL, Y = np.array([[0.5, 0.25], [0.25, 0.25], [0.25, 0.5]]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
compare("loss", compute_loss(HL, Y), 1.5 * np.log(2))
compare(
    "loss if all classes are equally likely", compute_loss(np.full((10, 4), 0.1), one_hot(np.array([3, 1, 4, 1]))), np.log(10)
)
HL, Y = np.random.RandomState(2).rand(10, 5), one_hot(np.array([3, 5, 3, 6, 1]))
compare("loss", compute_loss(HL, Y), 0.8964600261334037)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
HL, labels = rng.dirichlet(np.full(10, 20), size=8).T, rng.permutation(10)[:8]
compare("loss", compute_loss(HL, one_hot(labels)), -np.mean([np.log(HL[k, i]) for i, k in enumerate(labels)]))
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Backpropagation
#
# The network has 35,785 parameters. For each of them we want to know: if I make it a little larger, does the loss go
# up or down, and how fast? That is the derivative of the loss with respect to this parameter. All these derivatives
# together are the **gradient**.
#
# You could find it by trying: change one parameter, run all the images through the network again, and look at the
# loss. But that takes 35,785 runs for a single step. Backpropagation computes *all* derivatives in one run, from the
# last layer to the first, for about the cost of two forward passes. It is just the chain rule, where each layer reuses
# the results of the layer after it.
#
# ![The backward algorithm. From the right: dZL = HL − Y; from it dWL, dbL and dHL−1; then for l = L−1 down to 1: dZl = dHl ⊗ relu′(Zl), and from it dWl, dbl and dHl−1. Each layer uses its own memory](drawing:backward)
#
# > **Backward**
# > 1. $dZ_L = H_L - Y$
# > 2. $dW_L = \frac{1}{m}\, dZ_L \cdot H_{L-1}^T$
# > 3. $db_L = \frac{1}{m} \sum dZ_L$, the sum over the samples
# > 4. $dH_{L-1} = W_L^T \cdot dZ_L$
# > 5. for $l = L-1, \dots, 1$:
# >    * 5.1 $\; dZ_l = dH_l \otimes \mathrm{relu}'(Z_l)$
# >    * 5.2 $\; dW_l = \frac{1}{m}\, dZ_l \cdot H_{l-1}^T$
# >    * 5.3 $\; db_l = \frac{1}{m} \sum dZ_l$
# >    * 5.4 $\; dH_{l-1} = W_l^T \cdot dZ_l$
#
# **Where does the $1/m$ go?** In $dZ$ and $dH$, each sample has its own column: column $i$ is the derivative of the
# loss of sample $i$ *alone*. $dW$ and $db$ combine the samples: they are derivatives of the *mean* loss. So you divide
# by $m$ there, once, and nowhere else.
#
# **Why is $H_L - Y$ so simple?** The loss is $-\ln$ of a softmax. The derivative of softmax contains products of
# probabilities, and the derivative of the logarithm contains one divided by a probability. They cancel. For each
# digit, "predicted probability minus true probability" remains. If the network gave the right digit 0.7, its score is
# pushed up by 0.3. A wrong digit with 0.2 is pushed down by 0.2. The entries of each column of $H_L - Y$ add up to 0.

# %% [markdown]
# ### Backward through an activation
#
# <!-- task sigmoid_backward -->
#
# The slope of the curve shows how much $H$ changes when $Z$ changes a little. For the sigmoid, the slope has a simple
# form: $H (1 - H)$. It is largest in the middle, where $H$ is one half. The memory contains $Z$, so compute $H$ first,
# with your function `sigmoid`.
#
# $$dZ = dH \otimes H \otimes (1 - H) \qquad H = \mathrm{sigmoid}(Z)$$
#
# ![dH, Z and dZ have the same shape](shapes:dH[n,m] ⊗ H[n,m] ⊗ 1-H[n,m] = dZ[n,m])


# %% graded="sigmoid_backward"
def sigmoid_backward(dH, sigmoid_memory):
    """dZ = dH * H * (1 - H), where H = sigmoid(Z) and Z is the memory

    dH, sigmoid_memory: (n, m)   returns dZ: (n, m)
    """
    ### BEGIN SOLUTION
    H, _ = sigmoid(sigmoid_memory)
    return dH * H * (1 - H)
    ### END SOLUTION


# %% checks="sigmoid_backward"
dZ = sigmoid_backward(np.array([[4.0, 16.0, -16.0]]), np.array([[0.0, np.log(3), -np.log(3)]]))
compare("dZ", dZ, [[1.0, 3.0, -3.0]])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
dH, Z = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
slope = (np.tanh((Z + 1e-5) / 2) - np.tanh((Z - 1e-5) / 2)) / 4e-5
compare("dZ", sigmoid_backward(dH.copy(), Z.copy()), dH * slope)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task relu_backward -->
#
# Where $Z$ is positive, the derivative passes unchanged. Where $Z$ is negative, a small change of $Z$ has no effect on
# the output, so the derivative is 0. Note that the sign of $Z$, in the memory, decides, not the sign of $dH$. Return a
# new array and do not change $dH$: the caller may still need it.
#
# $$dZ = \begin{cases} dH & Z > 0 \\ 0 & \text{elsewhere} \end{cases}$$
#
# ![dH, Z and dZ have the same shape](shapes:dH[n,m] ⊗ Z>0[n,m] = dZ[n,m])


# %% graded="relu_backward"
def relu_backward(dH, relu_memory):
    """dZ = dH where Z > 0, 0 elsewhere; Z is the memory

    dH, relu_memory: (n, m)   returns dZ: (n, m)
    """
    ### BEGIN SOLUTION
    return dH * (relu_memory > 0)
    ### END SOLUTION


# %% checks="relu_backward"
dH, Z = np.array([[5.0, 5.0, -5.0, -5.0]]), np.array([[2.0, -2.0, 2.0, -2.0]])
compare("dZ", relu_backward(dH.copy(), Z), [[5.0, 0.0, -5.0, 0.0]])
compare("dZ where Z is exactly 0", relu_backward(np.ones((1, 1)), np.zeros((1, 1))), [[0.0]])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
dH, Z = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
compare("dZ", relu_backward(dH.copy(), Z.copy()), np.where(Z > 0, dH, 0))
### END HIDDEN TESTS

# %% [markdown]
# ### Backward through a layer
#
# <!-- task layer_backward -->
#
# The inputs are $dH$, the derivative with respect to this layer's output (the *upstream gradient*), and this layer's
# memory. You compute four results, one after the other. Each has a reason that you can understand:
#
# * $dZ$: backward through the activation. You have just written that.
# * $dW = \frac{1}{m}\, dZ \cdot H_{\text{prev}}^T$: for each sample, the derivative for a weight is the derivative of
#   its unit's sum, times the input that was multiplied by this weight. $dW$ is the mean over the samples. If a pixel
#   was 0, its weight had no effect, so this sample adds nothing.
# * $db = \frac{1}{m} \sum dZ$: a bias is a weight whose input is always 1. So only the sum over the samples remains,
#   **one number for each unit**. Use `axis=1`, and `keepdims=True` for the shape $(n, 1)$.
# * $dH_{\text{prev}} = W^T \cdot dZ$: the same weights, in the opposite direction. A unit of the layer below affects
#   every unit of this layer, through one weight each. Its derivative is the sum of theirs, multiplied by these
#   weights.
#
# ![dZ (n by m) times H_prev transposed (m by n_prev) is dW (n by n_prev)](shapes:dZ[n,m] · H_prevᵀ[m,n_prev] = dW[n,n_prev])
#
# ![W transposed (n_prev by n) times dZ (n by m) is dH_prev (n_prev by m)](shapes:Wᵀ[n_prev,n] · dZ[n,m] = dH_prev[n_prev,m])
#
# If you are not sure which matrix to transpose, look at the shapes: they fit only one way. `activation` is `"relu"` or
# `"sigmoid"`. The softmax layer follows in the next function.


# %% graded="layer_backward"
def layer_backward(dH, memory, activation="relu"):
    """dZ = dH * activation'(Z), dW = 1/m dZ . H_prev^T, db = 1/m sum of dZ over the samples, dH_prev = W^T . dZ

    dH: (n, m)   memory: ((H_prev, W, b), Z)   activation: "relu" or "sigmoid"
    returns dH_prev: (n_prev, m), dW: (n, n_prev), db: (n, 1)
    """
    linear_memory, activation_memory = memory
    H_prev, W, b = linear_memory
    m = H_prev.shape[1]
    ### BEGIN SOLUTION
    if activation == "relu":
        dZ = relu_backward(dH, activation_memory)
    else:
        dZ = sigmoid_backward(dH, activation_memory)
    dW = dZ @ H_prev.T / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    dH_prev = W.T @ dZ
    return dH_prev, dW, db
    ### END SOLUTION


# %% checks="layer_backward"
H_prev = np.array([[1.0, 0.0, 5.0, 10.0, 2.0], [2.0, 5.0, 3.0, 10.0, 2.0]])
W, b = np.array([[10.0, 5.0], [2.0, 0.0], [1.0, 0.0]]), np.array([[10.0], [5.0], [0.0]])
dH, memory = np.random.RandomState(2).rand(3, 5), ((H_prev, W, b), W @ H_prev + b)
dH_prev, dW, db = parts(layer_backward(dH.copy(), memory, "relu"), "dH_prev", "dW", "db")
compare("dW", dW, [[1.67565336, 1.56891359], [1.39137819, 1.4143854], [1.3597389, 1.43013369]])
compare("db", db, [[0.37345476], [0.34414727], [0.29074635]])
compare("first column of dH_prev", dH_prev[:, 0], [5.64173431, 2.1799745])
dH_prev, dW, db = layer_backward(np.full((3, 5), 8.0), ((H_prev, W, b), np.zeros((3, 5))), "sigmoid")
compare("db with sigmoid at Z = 0", db, [[2.0], [2.0], [2.0]])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
H_prev, W, b, dH = rng.normal(size=(4, 6)), rng.normal(size=(4, 4)), rng.normal(size=(4, 1)), rng.normal(size=(4, 6))
Z = W @ H_prev + b
for activation, slope in (("relu", Z > 0), ("sigmoid", 1 / (2 + np.exp(Z) + np.exp(-Z)))):
    dH_prev, dW, db = layer_backward(dH.copy(), ((H_prev, W, b), Z), activation)
    compare(f"dW with {activation}", dW, np.einsum("im,jm->ij", dH * slope, H_prev) / 6)
    compare(f"db with {activation}", db, np.mean(dH * slope, axis=1).reshape(4, 1))
    compare(f"dH_prev with {activation}", dH_prev, np.einsum("ij,im->jm", W, dH * slope))
### END HIDDEN TESTS

# %% [markdown]
# <!-- task L_layer_backward -->
#
# This is the whole **backward pass**. The last layer comes before the loop, in steps 1 to 4, because softmax and the
# loss together have their own $dZ$. Then a loop from layer $L-1$ **down to** 1 passes $dH$ from each layer to the one
# before it.
#
# ![The gradients: dW and db of each layer, dH between the layers](shapes:dZL[K,m] → dH2[n_2,m] → dH1[n_1,m] → dH0[n_0,m])
#
# `memories[0]` belongs to layer 1, so the memory of layer $l$ is `memories[l - 1]`. The keys are `"dW1"`, `"db1"`, …
# for each layer, and `"dH0"` … `"dH{L-1}"`. $dH_l$ is the derivative with respect to the output of layer $l$. ($dH_0$
# shows how the loss depends on the *pixels*. Training does not need it, but you get it for free.)
#
# How can you be sure that the derivatives are right? Use the definition of a derivative: make one weight a little
# larger, then a little smaller, and compute the loss both times. Divide the difference of the losses by the difference
# of the weights. This is slow, but it does not share the mistakes of your formulas. It is called a **gradient check**.
#
# The check below does it for **every** parameter of a small network. Remember this idea: gradients are tested this way
# everywhere.


# %% graded="L_layer_backward"
def L_layer_backward(HL, Y, memories):
    """dZL = HL - Y, then dW, db and dH of the previous layer, from the last layer to the first

    HL, Y: (K, m)   memories: from L_layer_forward   returns a dictionary with dW1 ... dWL, db1 ... dbL, dH0 ... dHL-1
    """
    gradients = {}
    L = len(memories)
    m = HL.shape[1]
    ### BEGIN SOLUTION
    (H_prev, W, b), Z = memories[L - 1]
    dZ = HL - Y
    gradients[f"dW{L}"] = dZ @ H_prev.T / m
    gradients[f"db{L}"] = np.sum(dZ, axis=1, keepdims=True) / m
    gradients[f"dH{L - 1}"] = W.T @ dZ
    for l in range(L - 1, 0, -1):
        dH_prev, dW, db = layer_backward(gradients[f"dH{l}"], memories[l - 1], "relu")
        gradients[f"dH{l - 1}"], gradients[f"dW{l}"], gradients[f"db{l}"] = dH_prev, dW, db
    return gradients
    ### END SOLUTION


# %% checks="L_layer_backward"
rng = np.random.RandomState(1)
X, Y = rng.randn(4, 6), one_hot(np.array([0, 9, 3, 3, 5, 1]))
parameters = {"W1": rng.randn(5, 4), "b1": rng.randn(5, 1), "W2": rng.randn(5, 5), "b2": rng.randn(5, 1)}
parameters |= {"W3": rng.randn(10, 5), "b3": rng.randn(10, 1)}
HL, memories = L_layer_forward(X, parameters)
gradients = L_layer_backward(HL.copy(), Y, memories)
assert isinstance(gradients, dict), "must return the dictionary gradients"
names = [f"d{name}" for name in parameters] + ["dH0", "dH1", "dH2"]
assert not set(names) - set(gradients), f"gradients must also contain {', '.join(sorted(set(names) - set(gradients)))}"
for name, value in parameters.items():
    slope = np.zeros(value.shape)
    for place in np.ndindex(*value.shape):
        step = np.zeros(value.shape)
        step[place] = 1e-5
        above, _ = L_layer_forward(X, {**parameters, name: value + step})
        below, _ = L_layer_forward(X, {**parameters, name: value - step})
        slope[place] = -np.sum(Y * np.log(above / below)) / 6 / 2e-5
    compare(f"d{name}, as measured by differences,", gradients[f"d{name}"], slope)
compare("dH2, which must stay as it was stored,", gradients["dH2"], parameters["W3"].T @ (HL - Y))
compare("shape of dH0", np.shape(gradients["dH0"]), [4, 6])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
X, Y, n = rng.normal(size=(5, 7)), np.eye(5)[:, rng.integers(5, size=7)], (5, 5, 5)
W1, b1, W2, b2 = rng.normal(size=(5, 5)), rng.normal(size=(5, 1)), rng.normal(size=(5, 5)), rng.normal(size=(5, 1))
Z1 = W1 @ X + b1
H1 = np.maximum(Z1, 0)
Z2 = W2 @ H1 + b2
HL = np.exp(Z2) / np.exp(Z2).sum(axis=0)
gradients = L_layer_backward(HL.copy(), Y, [((X, W1, b1), Z1), ((H1, W2, b2), Z2)])
blame = np.einsum("ij,im->jm", W2, HL - Y)
compare("dW2", gradients["dW2"], np.einsum("im,jm->ij", HL - Y, H1) / 7)
compare("db2", gradients["db2"], np.mean(HL - Y, axis=1).reshape(5, 1))
compare("dH1", gradients["dH1"], blame)
compare("dW1", gradients["dW1"], np.einsum("im,jm->ij", np.where(Z1 > 0, blame, 0), X) / 7)
compare("db1", gradients["db1"], np.mean(np.where(Z1 > 0, blame, 0), axis=1).reshape(5, 1))
compare("dH0", gradients["dH0"], np.einsum("ij,im->jm", W1, np.where(Z1 > 0, blame, 0)))
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Parameter updates
#
# You are standing on a hillside in thick fog. You can't see the valley, but you feel the slope of the ground under
# your feet. Take a step downhill, feel again, take the next step. This is **gradient descent**. The gradient is that
# slope, in 35,785 directions at once. It points **up**, so you subtract the step.
#
# ![A curve of the loss over one weight: each step goes against the slope, long where it is steep, short where it is flat](drawing:descent)
#
# The learning rate decides how far you go. If it is too small, you walk all day. If it is too large, you step across
# the valley to a place that is higher than where you were, and from there to an even higher one.
#
# <!-- task update_parameters -->
#
# $$W_l := W_l - \text{learning\_rate} \cdot dW_l \qquad b_l := b_l - \text{learning\_rate} \cdot db_l$$
#
# ![W and dW have the same shape](shapes:W[n,n_prev] − rate · dW[n,n_prev] = W[n,n_prev])
#
# Update the dictionary itself, layer by layer, and return it. One mistake is easy to miss here: assigning
# *only the step*, without the old weight. The shapes fit, there is no error, and the network forgets everything at
# each step.


# %% graded="update_parameters"
def update_parameters(parameters, gradients, learning_rate):
    """Wl := Wl - learning_rate * dWl, bl := bl - learning_rate * dbl, for every layer

    parameters: W1, b1, ...   gradients: dW1, db1, ...   returns parameters, updated
    """
    L = len(parameters) // 2
    ### BEGIN SOLUTION
    for l in range(1, L + 1):
        parameters[f"W{l}"] = parameters[f"W{l}"] - learning_rate * gradients[f"dW{l}"]
        parameters[f"b{l}"] = parameters[f"b{l}"] - learning_rate * gradients[f"db{l}"]
    return parameters
    ### END SOLUTION


# %% checks="update_parameters"
before = {"W1": np.array([[1.0, 2.0]]), "b1": np.array([[3.0]]), "W2": np.array([[4.0]]), "b2": np.array([[5.0]])}
slopes = {
    "dW1": np.array([[10.0, -10.0]]),
    "db1": np.array([[1.0]]),
    "dW2": np.array([[0.0]]),
    "db2": np.array([[-2.0]]),
}
after = update_parameters(before, slopes, 0.1)
for name, right in {"W1": [[0.0, 3.0]], "b1": [[2.9]], "W2": [[4.0]], "b2": [[5.2]]}.items():
    compare(name, after[name], right)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
old = {name: rng.normal(size=(3, 3)) for name in ("W1", "b1", "W2", "b2", "W3", "b3")}
slopes = {f"d{name}": rng.normal(size=(3, 3)) for name in old}
after = update_parameters({name: value.copy() for name, value in old.items()}, slopes, 0.3)
for name, value in old.items():
    compare(name, after[name], value - 0.3 * slopes[f"d{name}"])
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Training and predictions
#
# Now you have all the parts. Put them in a loop: forward, loss, backward, update, and again.
#
# ![A circle of four: L_layer_forward, compute_loss, L_layer_backward, update_parameters, and back to the first](drawing:circle)
#
# <!-- task L_layer_model -->
#
# Initialize once, **before** the loop. In each iteration, call in this order: `L_layer_forward`, `compute_loss`,
# `L_layer_backward`, `update_parameters`. In every hundredth iteration (the first is number 0), append the loss to
# `losses`. If `print_loss` is true, also print `Loss after iteration 0: 2.42…`, so that you can watch it fall. At the
# end, draw the losses with `draw_loss` and return the parameters.


# %%
def draw_loss(losses, learning_rate):
    """Plot the losses of every hundredth iteration."""
    if plt is None or len(losses) < 2:
        return
    figure, place = plt.subplots(figsize=(6, 3))
    place.plot(np.arange(len(losses)) * 100, losses)
    place.set(xlabel="iteration", ylabel="loss", title=f"learning rate {learning_rate}")
    plt.show()


# %% graded="L_layer_model"
def L_layer_model(X, Y, dimensions, learning_rate=0.0075, num_iterations=3000, print_loss=False):
    """Initialize, then num_iterations times: forward, loss, backward, update

    X: (n_0, m)   Y: (K, m)   dimensions: [n_0, ..., K]   returns the trained parameters
    """
    losses = []
    ### BEGIN SOLUTION
    parameters = initialize_parameters(dimensions)
    for i in range(num_iterations):
        HL, memories = L_layer_forward(X, parameters)
        loss = compute_loss(HL, Y)
        gradients = L_layer_backward(HL, Y, memories)
        parameters = update_parameters(parameters, gradients, learning_rate)
        if i % 100 == 0:
            losses.append(loss)
            if print_loss:
                print(f"Loss after iteration {i}: {loss:f}")
    draw_loss(losses, learning_rate)
    return parameters
    ### END SOLUTION


# %% checks="L_layer_model"
X, Y = np.eye(4), one_hot(np.array([3, 1, 4, 1]))
parameters, start = L_layer_model(X, Y, [4, 10], learning_rate=2.0, num_iterations=0), initialize_parameters([4, 10])
compare("W1 after no iteration", parameters["W1"], start["W1"])
parameters = L_layer_model(X, Y, [4, 10], learning_rate=2.0, num_iterations=90)
compare("loss after 90 iterations", compute_loss(L_layer_forward(X, parameters)[0], Y), 0.015708955)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
X, Y = rng.random((6, 9)), np.eye(5)[:, rng.integers(5, size=9)]
stream = np.random.RandomState(2)
W1, W2 = stream.randn(4, 6) * 0.1, stream.randn(5, 4) * 0.1
b1, b2 = np.zeros((4, 1)), np.zeros((5, 1))
for _ in range(7):
    Z1 = W1 @ X + b1
    E = np.exp(W2 @ np.maximum(Z1, 0) + b2)
    D2 = (E / E.sum(axis=0) - Y) / 9
    D1 = W2.T @ D2 * (Z1 > 0)
    W2, b2 = W2 - 0.4 * D2 @ np.maximum(Z1, 0).T, b2 - 0.4 * D2.sum(axis=1, keepdims=True)
    W1, b1 = W1 - 0.4 * D1 @ X.T, b1 - 0.4 * D1.sum(axis=1, keepdims=True)
parameters = L_layer_model(X, Y, [6, 4, 5], learning_rate=0.4, num_iterations=7)
for name, right in {"W1": W1, "b1": b1, "W2": W2, "b2": b2}.items():
    compare(name, parameters[name], right)
### END HIDDEN TESTS

# %% [markdown]
# <!-- task predict -->
#
# Ten probabilities become one answer: the digit with the largest probability, `np.argmax` down each column. Compare
# your answers with the labels and print the fraction that is right, from 0 to 1, as `Accuracy: 0.9`. The labels are
# one-hot, so `np.argmax` gives you their digits too.
#
# ![HL (10 by m) becomes predictions (m)](shapes:HL[10,m] → predictions[1,m])


# %% graded="predict"
def predict(X, y, parameters):
    """The digit with the largest probability in each column; prints "Accuracy: " and the fraction that is right

    X: (n_0, m)   y: (10, m), one-hot   returns predictions: (m,)
    """
    ### BEGIN SOLUTION
    HL, _ = L_layer_forward(X, parameters)
    predictions = np.argmax(HL, axis=0)
    print(f"Accuracy: {np.mean(predictions == np.argmax(y, axis=0))}")
    return predictions
    ### END SOLUTION


# %% checks="predict"
identity = {"W1": np.eye(10), "b1": np.zeros((10, 1))}
with contextlib.redirect_stdout(io.StringIO()) as printed:
    predictions = predict(np.eye(10)[:, [3, 1, 4, 1, 5]], one_hot(np.array([3, 1, 4, 2, 5])), identity)
compare("predictions", predictions, [3, 1, 4, 1, 5])
assert "Accuracy: 0.8" in printed.getvalue(), (
    f'must print "Accuracy: 0.8" here, printed was "{printed.getvalue().strip()}"'
)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
labels = rng.integers(10, size=20)
answers = np.where(np.arange(20) < 13, labels, (labels + 1) % 10)
with contextlib.redirect_stdout(io.StringIO()) as printed:
    predictions = predict(np.eye(10)[:, answers], one_hot(labels), {"W1": 3 * np.eye(10), "b1": np.ones((10, 1))})
compare("predictions", predictions, answers)
assert "Accuracy: 0.65" in printed.getvalue(), "must print the fraction that is right"
### END HIDDEN TESTS

# %% [markdown]
# ### The run
#
# The run uses the first 5,000 training images (or all, if there are fewer), a hidden layer of 45 units, and 2,000
# iterations. Get a glass of water: it takes half a minute on a fast machine and two on a slow one.
#
# If `digits.npz` contains the full MNIST, your losses must agree with these to the last digit: 2.422624 at iteration
# 0, 2.129232 at 100, 1.876095 at 200, … 0.457054 at 1900.
#
# The network then reads 87.74 % of its training images and 86.74 % of the 10,000 test images correctly.
#
# With the bundled sample, which has 3,333 training images, expect 2.424653, 2.131932, 1.883358, … 0.439419, and 88.21
# % and 86.40 %.

# %%
NUM_ITERATIONS = 2000
if "NBGRADER_EXECUTION" in os.environ:
    NUM_ITERATIONS = 100  # a grading program allows 30 seconds per cell; your points don't depend on this run

X, Y = train_set_x[:, :5000], train_set_y[:, :5000]
parameters = L_layer_model(X, Y, [784, 45, 10], learning_rate=0.0075, num_iterations=NUM_ITERATIONS, print_loss=True)

# %%
predictions = predict(X, Y, parameters)
test_predictions = predict(test_set_x, test_set_y, parameters)

# %% [markdown]
# The two numbers differ, and the second one counts, because the network never learned from the test images. Where is
# it wrong? Look at some of its mistakes: "4 → 1" is a four that it read as a one. Some are easy to forgive, others are
# surprising.

# %%
missed = np.flatnonzero(test_predictions != test_data[1])[:8]
show(test_data[0][missed], [f"{test_data[1][k]} → {test_predictions[k]}" for k in missed])

# %% [markdown]
# ## 7. Why the scale of the pixels matters
#
# From here on, there is something to try in each cell. Change the numbers.
#
# Pixels are bytes, and we divided them by 256 without giving a reason. What happens if you don't? The next cell trains
# the same network three times, from the same start and with the same learning rate. The pixels are from 0 to 1, bytes,
# or divided by 256 once too often. The cell prints the loss and the number of the 45 hidden units that are **dead**. A
# dead unit outputs 0 for every image. No gradient passes through it, so it can never recover.

# %%
few, answers = train_set_x[:, :1000], train_set_y[:, :1000]
for words, pixels in (("0 to 1", few), ("0 to 255", few * 256), ("0 to 1/256", few / 256)):
    print(f"pixels from {words}")
    trained = initialize_parameters([784, 45, 10])
    for i in range(101):
        HL, memories = L_layer_forward(pixels, trained)
        if i in (0, 1, 2, 10, 100):
            with np.errstate(divide="ignore", invalid="ignore"):  # otherwise NumPy warns of log(0)
                loss = compute_loss(HL, answers)
            dead = np.sum(np.all(memories[0][1] <= 0, axis=1))
            print(f"    iteration {i:3}: loss {loss:10.4f}, dead units {dead}")
        trained = update_parameters(trained, L_layer_backward(HL, answers, memories), 0.0075)

# %% [markdown]
# With bytes, the loss starts in the hundreds, or it is infinite, or `nan`: some probabilities round to exactly 0, and
# with the formula as it stands $0 \cdot \ln 0$ is not a number. If all ten digits were equally likely, it would be
# 2.3. The first sums are 256 times as large, so softmax is certain of a random answer. The first steps are so long
# that the loss goes *up*. They also push about half of the units so far to the negative side that they are dead for
# good. Only the other half of your network keeps learning. With pixels that are too small, there is no error, but the
# network hardly learns: after a hundred iterations the loss is still about $\ln 10$.
#
# The reason stands in one formula: $dW_1 = \frac{1}{m}\, dZ_1 \cdot X^T$. The derivative of a first-layer weight is
# proportional to its *pixel*. If the pixels are $k$ times larger and $dZ_1$ is the same, each step is $k$ times
# longer. Its effect on the sums is multiplied by the pixel once more: $k^2$ times in all. **The scale of the input is
# a learning rate in disguise.**
#
# You can test this claim. Use bytes, but start with $W_1 / 256$ and make its steps $256^2 = 65536$ times shorter. If
# the claim is true, the losses are those of the first run, digit for digit.

# %%
trained = initialize_parameters([784, 45, 10])
trained["W1"] = trained["W1"] / 256
for i in range(101):
    HL, memories = L_layer_forward(few * 256, trained)
    if i % 100 == 0:
        print(f"Loss after iteration {i}: {compute_loss(HL, answers):f}")
    gradients = L_layer_backward(HL, answers, memories)
    gradients["dW1"] = gradients["dW1"] / 256**2
    trained = update_parameters(trained, gradients, 0.0075)

# %% [markdown]
# So bytes themselves are not *wrong*. But one learning rate has to fit all weights, and that works if all inputs have
# about the same, moderate size. For the same reason, the scale of the inputs belongs to the network: anyone who uses
# it later must scale the pixels exactly as you did. Whether you divide by 255 or by 256 already changes the third
# decimal of the first loss.
#
# ## 8. Mini-batches and momentum
#
# The assignment usually stops here, with the whole data set as one batch.
#
# You looked at *all* images before each step. That is like asking everyone in town for directions before every step
# you take. Asking a few people is enough. The gradient from fifty images is not exact, but on average it points the
# right way, and it costs a hundredth.
#
# So divide the data into **mini-batches** and take a step after each one. When every image has been used once, one
# **epoch** is over. Shuffle before each epoch. If all zeros came first and all nines last, the network would forget
# the zeros toward the end of each epoch.
#
# <!-- task mini_batches -->
#
# `order` is a shuffled list of all sample numbers, for example `[4, 0, 3, 1, 2]`. With `batch_size` 2, the batches are
# samples 4 and 0, then 3 and 1, then 2 alone. The last batch is shorter, and it counts like the others. Take the same
# columns from `X` and `Y`: each image must keep its label. `X[:, [4, 0]]` selects columns.
#
# ![X is cut into batches by columns](shapes:X[n_0,m] → X_batch[n_0,size] X_batch[n_0,size] X_batch[n_0,rest])


# %% graded="mini_batches"
def mini_batches(X, Y, order, batch_size):
    """The samples order[0 : batch_size], then the next batch_size of them, and so on; the last batch may be smaller

    X: (n_0, m)   Y: (K, m)   order: (m,), each sample number once   returns a list of pairs (X_batch, Y_batch)
    """
    batches = []
    ### BEGIN SOLUTION
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batches.append((X[:, chosen], Y[:, chosen]))
    return batches
    ### END SOLUTION


# %% checks="mini_batches"
X, Y = np.array([[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 10.0, 20.0, 30.0, 40.0]]), np.array([[5.0, 6.0, 7.0, 8.0, 9.0]])
batches = mini_batches(X, Y, np.array([4, 0, 3, 1, 2]), 2)
assert isinstance(batches, list) and len(batches) == 3, "must be a list of 3 batches: of 2, 2 and 1 samples"
for k, (X_right, Y_right) in enumerate([([4, 0], [9, 5]), ([3, 1], [8, 6]), ([2], [7])]):
    X_batch, Y_batch = parts(batches[k], "X_batch", "Y_batch")
    compare(f"X of batch {k}", X_batch, [X_right, np.multiply(10, X_right)])
    compare(f"Y of batch {k}", Y_batch, [Y_right])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
X, Y, order = rng.normal(size=(3, 11)), rng.normal(size=(2, 11)), rng.permutation(11)
batches = mini_batches(X, Y, order, 4)
assert [batch[0].shape[1] for batch in batches] == [4, 4, 3]
compare("X of all batches", np.hstack([batch[0] for batch in batches]), X.take(order, axis=1))
compare("Y of all batches", np.hstack([batch[1] for batch in batches]), Y.take(order, axis=1))
### END HIDDEN TESTS

# %% [markdown]
# <!-- task update_with_momentum -->
#
# A plain step does not depend on the steps before it. In a narrow valley, plain steps bounce from one side to the
# other, and each step undoes half of the one before. Think of a heavy ball that rolls instead. It has a **velocity**:
# at each step it loses a tenth of it and gains the slope at its position. Directions that change back and forth
# cancel. Directions that stay the same add up. With a momentum of 0.9, they add up to ten times the slope
# ($1 + 0.9 + 0.9^2 + \dots = 10$).
#
# ![Left: plain steps zigzag across a long valley. Right: with momentum, the path follows the valley](drawing:momentum)
#
# $$v := \text{momentum} \cdot v + dW \qquad W := W - \text{learning\_rate} \cdot v$$
#
# and the same for each $b$. `velocities` contains an array for each parameter, under the parameter's name: the
# velocity of `parameters["W1"]` is `velocities["W1"]`. Update both dictionaries and return them.


# %% graded="update_with_momentum"
def update_with_momentum(parameters, gradients, velocities, learning_rate, momentum=0.9):
    """v := momentum * v + dW, W := W - learning_rate * v, and the same for each b

    parameters, velocities: W1, b1, ...   gradients: dW1, db1, ...   returns parameters, velocities, both updated
    """
    ### BEGIN SOLUTION
    for name in parameters:
        velocities[name] = momentum * velocities[name] + gradients[f"d{name}"]
        parameters[name] = parameters[name] - learning_rate * velocities[name]
    return parameters, velocities
    ### END SOLUTION


# %% checks="update_with_momentum"
parameters, velocities = (
    {"W1": np.array([[1.0]]), "b1": np.array([[2.0]])},
    {"W1": np.array([[10.0]]), "b1": np.array([[0.0]])},
)
slopes = {"dW1": np.array([[1.0]]), "db1": np.array([[-3.0]])}
new, faster = parts(update_with_momentum(parameters, slopes, velocities, 0.1, 0.5), "parameters", "velocities")
assert new is parameters and faster is velocities, "must update the dictionaries it is given, and return them"
compare("velocity of W1", velocities["W1"], [[6.0]])
compare("W1", parameters["W1"], [[0.4]])
compare("velocity of b1", velocities["b1"], [[-3.0]])
compare("b1", parameters["b1"], [[2.3]])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
old, speed = ({name: rng.normal(size=(2, 3)) for name in ("W1", "b1", "W2", "b2")} for _ in range(2))
slopes = {f"d{name}": rng.normal(size=(2, 3)) for name in old}
copies = ({name: value.copy() for name, value in given.items()} for given in (old, speed))
new, faster = update_with_momentum(next(copies), slopes, next(copies), 0.2, 0.7)
for name in old:
    compare(f"velocity of {name}", faster[name], 0.7 * speed[name] + slopes[f"d{name}"])
    compare(name, new[name], old[name] - 0.14 * speed[name] - 0.2 * slopes[f"d{name}"])
### END HIDDEN TESTS

# %% [markdown]
# Now train the same network again, on the same images and from the same start. It trains for ten epochs with batches
# of 50. After each epoch, the cell prints the accuracy on the validation images, which are not used for training.

# %%
X, Y = train_set_x[:, :5000], train_set_y[:, :5000]
validation_x, validation_y = validation_data[0].T / 256, validation_data[1]
rng = np.random.default_rng(0)
parameters = initialize_parameters([784, 45, 10])
velocities = {name: np.zeros_like(value) for name, value in parameters.items()}
for epoch in range(1, 11):
    for X_batch, Y_batch in mini_batches(X, Y, rng.permutation(X.shape[1]), 50):
        HL, memories = L_layer_forward(X_batch, parameters)
        gradients = L_layer_backward(HL, Y_batch, memories)
        update_with_momentum(parameters, gradients, velocities, learning_rate=0.1, momentum=0.9)
    right = L_layer_forward(validation_x, parameters)[0].argmax(axis=0) == validation_y
    print(f"epoch {epoch}: {np.mean(right):.4f} of the validation images are right")
predictions = predict(X, Y, parameters)
test_predictions = predict(test_set_x, test_set_y, parameters)

# %% [markdown]
# It took a second or two instead of a minute, and the network reads better. The network itself has not changed: it has
# the same formulas, derivatives and units. It took fewer steps than before, and each step cost about a hundredth.
#
# Look at the last two lines. On its training images the network is nearly perfect, on new ones it is not. It knows
# those few thousand images almost by heart. This is called **overfitting**. More images help: new ones, or the old
# ones shifted and rotated a little (*augmentation*). But that is another story.
#
# **You have written a neural network.** What to do next:
#
# * `byhand course check network.ipynb` tests all your functions once more, with new numbers.
# * Try `[784, 100, 50, 10]`, other learning rates, or a batch size of 1. Choose by the accuracy on the validation
#   images.
# * `two-layer.ipynb` is the smallest network that reads digits. It uses another notation, which you will often see
#   elsewhere.
# * `byhand explain` shows one training step with its actual numbers. With `byhand play` you draw a digit and watch the
#   network read it.
