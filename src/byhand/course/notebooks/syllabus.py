"""The syllabus: every function that a student writes, in the order of teaching, with its formula, shapes and points.

There are two lessons, each a notebook: the assignment (`network`, the functions of `byhand.reference.l_layer` and two
that go on where the texts stop) and the 784-10-10 network (`two-layer`). Notebooks, markers and `byhand course next`
all take their points, formulas and shapes from here; `page` says which of `byhand.course.check.PAGES` checks a lesson.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One function to write: what goes in, what comes out, and what it is worth."""

    name: str
    chapter: str
    formula: str
    takes: str
    gives: str
    points: int
    step: str = ""  # of the two algorithms, forward (1 to 3) and backward (1 to 5)

    @property
    def where(self) -> str:
        """Its place in the algorithm: `step 2.1`, `steps 1 to 3`, or nothing."""
        return self.step and f"step{'s' if ' to ' in self.step else ''} {self.step}"


@dataclass(frozen=True)
class Lesson:
    """One notebook: its name, the page that checks it, its title and its functions."""

    name: str
    page: str
    title: str
    tasks: tuple[Task, ...]

    @property
    def points(self) -> int:
        """What all its functions are worth together."""
        return sum(task.points for task in self.tasks)

    def __getitem__(self, function: str) -> Task:
        return next(task for task in self.tasks if task.name == function)


FEEDFORWARD, LOSS, BACKPROPAGATION = "Feedforward", "Loss", "Backpropagation"
UPDATES, TRAINING, BATCHES = "Parameter updates", "Training and predictions", "Mini-batches and momentum"

NETWORK = Lesson(
    "network",
    "l_layer",
    "A neural network, written by hand",
    (
        Task("sigmoid", FEEDFORWARD, "H = 1 / (1 + e^−Z)", "Z (n, m)", "H (n, m), and Z as its memory", 3, "2.2"),
        Task("relu", FEEDFORWARD, "H = max(0, Z)", "Z (n, m)", "H (n, m), and Z as its memory", 3, "2.2"),
        Task(
            "softmax",
            FEEDFORWARD,
            "H = e^Z / Σ e^Z, the sum down each column",
            "Z (K, m)",
            "H (K, m), and Z as its memory",
            4,
            "2.2",
        ),
        Task(
            "initialize_parameters",
            FEEDFORWARD,
            "Wl = 0.1 · randn(n_l, n_l−1), bl = 0, for l = 1 … L",
            "dimensions [n_0, n_1, …, n_L]",
            "a dictionary with Wl (n_l, n_l−1) and bl (n_l, 1)",
            5,
        ),
        Task(
            "layer_forward",
            FEEDFORWARD,
            "Z = W · H_prev + b, H = activation(Z)",
            "H_prev (n_prev, m), W (n, n_prev), b (n, 1), activation",
            "H (n, m), and the memory ((H_prev, W, b), Z)",
            10,
            "2",
        ),
        Task(
            "L_layer_forward",
            FEEDFORWARD,
            "H0 = X, Hl = relu(Wl · Hl−1 + bl), HL = softmax(WL · HL−1 + bL)",
            "X (n_0, m), parameters",
            "HL (K, m), and the list of all memories",
            10,
            "1 to 3",
        ),
        Task("compute_loss", LOSS, "loss = −1/m Σ Y ⊗ log HL", "HL (K, m), Y (K, m)", "one number", 10),
        Task(
            "sigmoid_backward",
            BACKPROPAGATION,
            "dZ = dH ⊗ H ⊗ (1 − H), with H = sigmoid(Z)",
            "dH (n, m), sigmoid_memory, which is Z (n, m)",
            "dZ (n, m)",
            5,
            "5.1",
        ),
        Task(
            "relu_backward",
            BACKPROPAGATION,
            "dZ = dH where Z > 0, 0 elsewhere",
            "dH (n, m), relu_memory, which is Z (n, m)",
            "dZ (n, m)",
            5,
            "5.1",
        ),
        Task(
            "layer_backward",
            BACKPROPAGATION,
            "dZ = dH ⊗ activation′(Z), dW = 1/m dZ · H_prevᵀ, db = 1/m Σ dZ, dH_prev = Wᵀ · dZ",
            "dH (n, m), memory, activation",
            "dH_prev (n_prev, m), dW (n, n_prev), db (n, 1)",
            10,
            "5.1 to 5.4",
        ),
        Task(
            "L_layer_backward",
            BACKPROPAGATION,
            "dZL = HL − Y, then dW, db and dH of the layer before, from the last layer to the first",
            "HL (K, m), Y (K, m), memories",
            "a dictionary with dH0 … dHL−1, dW1 … dWL, db1 … dbL",
            10,
            "1 to 5",
        ),
        Task(
            "update_parameters",
            UPDATES,
            "Wl := Wl − learning_rate · dWl, bl := bl − learning_rate · dbl",
            "parameters, gradients, learning_rate",
            "the same dictionary, updated",
            5,
        ),
        Task(
            "L_layer_model",
            TRAINING,
            "initialise, then num_iterations times: forward, loss, backward, update",
            "X (n_0, m), Y (K, m), dimensions, learning_rate, num_iterations, print_loss",
            "the trained parameters",
            5,
        ),
        Task(
            "predict",
            TRAINING,
            "the row of the largest probability in each column of HL; prints the share that is right",
            "X (n_0, m), y (K, m), parameters",
            "predictions (m,)",
            5,
        ),
        Task(
            "mini_batches",
            BATCHES,
            "columns order[0 : batch_size], order[batch_size : 2 · batch_size], … of X and of Y",
            "X (n_0, m), Y (K, m), order (m,), batch_size",
            "a list of pairs (X_batch, Y_batch)",
            5,
        ),
        Task(
            "update_with_momentum",
            BATCHES,
            "v := momentum · v + dW, W := W − learning_rate · v, the same for b",
            "parameters, gradients, velocities, learning_rate, momentum",
            "parameters and velocities, both updated",
            5,
        ),
    ),
)

START, FORWARD, BACKWARD, DESCENT = "Start somewhere", "Forward", "Backward", "Go down"

TWO_LAYER = Lesson(
    "two-layer",
    "two_layer",
    "784-10-10: the smallest network that reads",
    (
        Task(
            "init_params",
            START,
            "W1, b1, W2, b2 = rand − 0.5",
            "nothing",
            "W1 (10, 784), b1 (10, 1), W2 (10, 10), b2 (10, 1)",
            5,
        ),
        Task("ReLU", FORWARD, "A = max(0, Z)", "Z (n, m)", "A (n, m)", 5),
        Task("softmax", FORWARD, "A = e^Z / Σ e^Z, the sum down each column", "Z (K, m)", "A (K, m)", 10),
        Task(
            "forward_prop",
            FORWARD,
            "Z1 = W1 · X + b1, A1 = ReLU(Z1), Z2 = W2 · A1 + b2, A2 = softmax(Z2)",
            "W1, b1, W2, b2, X (784, m)",
            "Z1, A1, Z2, A2, each (10, m)",
            15,
        ),
        Task("ReLU_deriv", BACKWARD, "g′(Z) = 1 where Z > 0, 0 elsewhere", "Z (n, m)", "g′(Z) (n, m)", 5),
        Task("one_hot", BACKWARD, "1 in row Y[i] of column i, 0 elsewhere", "Y (m,)", "one-hot (10, m)", 5),
        Task(
            "backward_prop",
            BACKWARD,
            "dZ2 = A2 − Y, dW2 = 1/m dZ2 · A1ᵀ, db2 = 1/m Σ dZ2, dZ1 = W2ᵀ · dZ2 ⊗ g′(Z1), dW1 = 1/m dZ1 · Xᵀ, "
            "db1 = 1/m Σ dZ1",
            "Z1, A1, Z2, A2, W1, W2, X (784, m), Y (m,)",
            "dW1, db1, dW2, db2, with the shapes of W1, b1, W2, b2",
            20,
        ),
        Task(
            "update_params",
            DESCENT,
            "W1 := W1 − α dW1, b1 := b1 − α db1, W2 := W2 − α dW2, b2 := b2 − α db2",
            "W1, b1, W2, b2, dW1, db1, dW2, db2, alpha",
            "the new W1, b1, W2, b2",
            10,
        ),
        Task("get_predictions", DESCENT, "the row of the largest number in each column", "A2 (K, m)", "(m,)", 5),
        Task(
            "get_accuracy", DESCENT, "the share of predictions that are right", "predictions (m,), Y (m,)", "0 to 1", 5
        ),
        Task(
            "gradient_descent",
            DESCENT,
            "start somewhere, then `iterations` times: forward, backward, update",
            "X (784, m), Y (m,), alpha, iterations",
            "W1, b1, W2, b2, trained",
            10,
        ),
        Task(
            "make_predictions",
            DESCENT,
            "forward_prop, then get_predictions",
            "X (784, m), W1, b1, W2, b2",
            "predictions (m,)",
            5,
        ),
    ),
)

LESSONS = (NETWORK, TWO_LAYER)


def lesson_of(page: str) -> Lesson:
    """The lesson that a checker's page belongs to: "l_layer" or "two_layer"."""
    return next(lesson for lesson in LESSONS if lesson.page == page)
