"""Diagnosis: verdicts, the mistakes that a check knows by name, and which of them would have given these numbers.

Nothing is guessed from the text of the program. Each output that differs from the right one is compared with what every
known mistake would have produced with the same inputs; a mistake is named only if all the numbers fit. The sentences
about the mistakes say what is wrong and hint at what is right; they are listed in docs/check.md.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from byhand.course.probes import Array, Outputs, Probe, as_numbers, kind_of
from byhand.text import listed

Status = Literal["right", "wrong", "not run", "missing"]
SIGNS: dict[Status, str] = {"right": "✓", "wrong": "✗", "not run": "?", "missing": "·"}
RELATIVE, OF_LARGEST = 1e-4, 1e-5  # float32 and another order of summation pass; no mistake is as small

MISTAKES = {
    # what any output may show
    "1/m missing": "1/m is missing: a sum over the samples must be divided by their number, m",
    "1/m twice": "divided by m once too often",
    "divided by all": "divided by a larger number than m: only the samples of this batch count, not all there are",
    "wrong sign": "the sign is wrong",
    "transposed": "transposed: rows and columns are the wrong way round",
    "axis lost": "the numbers are right and the shape is not: an axis was lost on the way (keepdims=True keeps it)",
    "zero": "0 everywhere",
    "not a number": "not a number (NaN or infinite)",
    "nothing returned": "nothing is returned (None)",
    "output missing": "not there",
    "the wrong array": "another array stands here",
    "Z and H mixed up": "H, after the activation, and Z, before it, are mixed up",
    "memories swapped": "memory must be (linear_memory, activation_memory), here the two are swapped",
    "too little returned": "fewer things are returned than must be",
    "too much returned": "more things are returned than must be",
    "name from outside": "it uses a name that it does not have: everything must come in as an argument",
    # activations
    "sign of the exponent": "the exponent has the wrong sign: sigmoid is 1 / (1 + e^−Z)",
    "exponent overflows": "NaN for large Z: e^Z overflows where e^−Z would not",
    "tanh for sigmoid": "this is tanh, not sigmoid",
    "derivative for function": "this is the derivative, not the function itself",
    "leaky relu": "negative Z leaks through: relu is 0 there",
    "absolute value": "this is the absolute value: relu is 0 where Z is negative",
    "minimum for maximum": "this is the smaller of 0 and Z, relu is the larger",
    "mask for relu": "this is 1 where Z is positive, relu is Z there",
    "softmax along the wrong axis": "taken along the wrong axis: the samples are columns, so each column sums to 1",
    "softmax over everything": "normalised by the sum over all samples together: each column must sum to 1 by itself",
    "softmax not normalised": "e^Z is not divided by its sum",
    "softmax without the maximum": "NaN beyond Z = 709, where e^Z overflows: subtract the maximum of each column first",
    # parameters
    "wrong scale of the weights": "the random numbers are right and their scale is not: randn × 0.1",
    "rand for randn": "these are uniform (rand), normal ones (randn) are wanted",
    "randn for rand": "these are normal (randn), uniform ones (rand) are wanted",
    "weights drawn transposed": "drawn in the shape (n_prev, n) and turned: the same seed then gives other numbers",
    "half not subtracted": "all are positive: rand − 0.5 lies around 0",
    "one number for all": "hardly any spread: rand − 0.5 lies between −0.5 and 0.5",
    "biases not zero": "biases must start at 0",
    # forward
    "bias left out": "the bias is not added",
    "bias subtracted": "the bias is subtracted",
    "weights not transposed": "W must be transposed here",
    "weights transposed": "W must not be transposed here",
    "activation ignored": "the activation that was asked for is not the one that is used",
    "activation left out": "no activation is applied",
    "softmax left out": "the last layer must end in softmax",
    "softmax in every layer": "softmax belongs to the last layer only",
    "sigmoid for relu": "the hidden layers use sigmoid, they must use relu",
    "X into every layer": "each layer is given X, not the H of the layer before",
    "last memory left out": "the memory of the last layer is not appended",
    # loss
    "mean over all entries": "averaged over classes and samples: the sum over the classes is divided by m only",
    "binary cross-entropy": "Y log H + (1 − Y) log(1 − H) is for yes-or-no questions: after softmax Y log H alone",
    "wrong logarithm": "the logarithm has another base: the natural one is wanted",
    "logarithm left out": "the logarithm is left out",
    "not summed to one number": "the losses of the samples are not summed up to one number",
    "squared error": "this is the squared error, cross-entropy is wanted",
    # backward
    "Z taken for H": "H (1 − H) is wanted, with H = sigmoid(Z): here Z stands in its place",
    "sigmoid taken twice": "the memory holds Z, so sigmoid is taken once to get H: here it is taken twice",
    "dH left out": "the derivative of the activation is there, dH is not multiplied in",
    "factor left out": "one of the two factors H and 1 − H is left out",
    "derivative left out": "dH is used where dZ belongs: the derivative of the activation is left out",
    "sign of dH for sign of Z": "0 where dH is negative: it must be 0 where Z is negative",
    "relu turned round": "kept where Z is negative, 0 where it is positive: the other way round",
    "relu of the memory": "this is relu(Z), its derivative times dH is wanted",
    "wrong derivative": "the derivative of another activation",
    "H for H_prev": "dW takes the input of the layer, H_prev: here it takes its output",
    "Z for H_prev": "dW takes the input of the layer, H_prev: here it takes its sum Z",
    "divided by units": "divided by the number of units, not by the number of samples, m",
    "bias summed over everything": "summed over everything: each unit has its own number, the sum over samples",
    "bias summed over units": "summed over the units: the sum goes over the samples (axis=1)",
    "bias not summed": "not summed over the samples",
    "1/m where it does not belong": "divided by m: only dW and db are",
    "Y minus HL": "the wrong way round: dZ of the last layer is HL − Y",
    "derivative of softmax again": "multiplied by H (1 − H): HL − Y already contains the derivative of softmax",
    "relu in the last layer": "relu's derivative is applied in the last layer, which has softmax",
    "memory of the wrong layer": "the memory of another layer is used",
    "labels not one-hot": "the labels are subtracted as numbers: they must be one-hot",
    # update, training, predictions
    "old weight dropped": "the old value is dropped: the new one is old − learning rate × derivative",
    "climbing": "the step goes uphill: it must be subtracted",
    "learning rate left out": "the learning rate is left out",
    "not updated": "not updated",
    "an iteration too many": "one iteration too many",
    "an iteration too few": "one iteration too few",
    "learning rate not passed on": "the default learning rate is used, whatever is asked for",
    "begun again in every iteration": "the parameters are made anew in every iteration, so only one step is ever taken",
    "not trained": "the parameters come back as they were made",
    "argmax along the wrong axis": "the largest of each row: the samples are columns, so axis=0",
    "probabilities for classes": "these are probabilities, the class with the largest is wanted",
    "right ones counted": "this is how many are right, the share of them is wanted",
    "percent for a share": "this is in percent, a share from 0 to 1 is wanted",
    "labels left one-hot": "the classes are compared with one-hot columns: argmax of y gives the classes",
    "pixels not scaled": "bytes from 0 to 255, the network expects pixels from 0 to 1: divide them by 255",
    "pixels scaled twice": "hardly more than 0 everywhere: the pixels were from 0 to 1 already, and are divided again",
    # mini-batches and momentum
    "order ignored": "the samples are taken as they stand: the order that is given says which come together",
    "pictures and labels parted": "X and Y are cut in different orders: each picture must keep its own label",
    "last batch left out": "the last batch is left out: what remains is a batch too, a shorter one",
    "old velocity dropped": "the old velocity is dropped: this is plain gradient descent",
    "old velocity kept whole": "the old velocity is not multiplied by the momentum",
    "averaged velocity": "the gradient is multiplied by 1 − momentum: it must be added as it is",
    "learning rate in the velocity": "the learning rate is in the velocity: it belongs to the step",
    "one_hot sized by the largest label": "as many classes as the largest label: a batch without a nine still has ten",
}  # fmt: skip


# ---- verdicts


@dataclass(frozen=True)
class Evidence:
    """One number that shows a mistake: its place, the student's value, the right one, and the measured slope."""

    where: str
    yours: float
    right: float
    measured: float | None = None

    def __str__(self) -> str:
        slope = "" if self.measured is None else f", measured by differences {self.measured:.6g}"
        return f"{self.where}: yours {self.yours:.6g}, right {self.right:.6g}{slope}"


@dataclass(frozen=True)
class Verdict:
    """The result of the check of one function.

    `mistakes` are the names of the mistakes that its numbers fit in `MISTAKES`, empty if the function is wrong in
    a way that has no name; `reason` is the sentence; `remarks` are worth knowing, and not wrong.
    """

    function: str
    status: Status
    reason: str = ""
    mistakes: tuple[str, ...] = ()
    evidence: Evidence | None = None
    place: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Everything to be read about the function, line by line."""
        return tuple(filter(None, (self.reason, str(self.evidence or ""), *self.remarks)))


@dataclass(frozen=True)
class Report:
    """All verdicts about one file, in the order of the assignment; `notes` are about the file as a whole.

    `found` is True if the file has any function of the assignment, even if it is a stub.
    """

    file: str
    page: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    found: bool = True

    @property
    def ok(self) -> bool:
        """True if a function was found and none of the written ones is wrong or was not run."""
        return self.found and all(verdict.status in ("right", "missing") for verdict in self.verdicts)

    def counts(self) -> dict[str, int]:
        """Return the number of functions with each status."""
        statuses = [verdict.status for verdict in self.verdicts]
        return {status: statuses.count(status) for status in ("right", "wrong", "not run", "missing")}

    def __getitem__(self, function: str) -> Verdict:
        """Return the verdict about one function."""
        return next(verdict for verdict in self.verdicts if verdict.function == function)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; NaN and infinity become texts."""
        report = {**asdict(self), "ok": self.ok, "counts": self.counts()}
        for evidence in filter(None, (verdict["evidence"] for verdict in report["verdicts"])):
            evidence |= {
                name: str(one) for name, one in evidence.items() if isinstance(one, float) and not math.isfinite(one)
            }
        return report


# ---- from numbers to mistakes


def close(a: Any, b: Any) -> bool:
    """Return True if the two are as equal as any correct ways of computing them are; NaN equals NaN."""
    a, b = as_numbers(a), as_numbers(b)
    if a is None or b is None or a.shape != b.shape:
        return False
    finite = b[np.isfinite(b)]
    slack = OF_LARGEST * np.max(np.abs(finite), initial=0.0) + 1e-12
    return bool(np.allclose(a, b, rtol=RELATIVE, atol=slack, equal_nan=True))


def differing(probe: Probe, got: Outputs) -> list[str]:
    """Return the outputs that are not right, including missing ones."""
    return [name for name, right in probe.right.items() if name not in got or not close(got[name], right)]


def diagnose(
    found: Sequence[tuple[Probe, Outputs]], default_message: str
) -> tuple[str, tuple[str, ...], Evidence | None]:
    """Return (reason, names of the mistakes, one telling number) for all wrong answers to the probes of one function.

    The fewest mistakes are named that explain everything that is wrong; `default_message` is for what none explains.
    """
    unexplained = {
        (name, place): _all_that_fit(name, probe, got)
        for place, (probe, got) in enumerate(found)
        for name in differing(probe, got)
    }
    sentences: list[str] = []
    mistakes: list[str] = []
    while unexplained:
        votes = [mistake for fits in unexplained.values() for mistake in fits]
        if not votes:
            (name, place), *_ = unexplained
            names = list(dict.fromkeys(name for name, _ in unexplained))
            sentences.append(f"{listed(names)}: {_plainly(name, *found[place]) or default_message}")
            break
        # the first of those that explain most; what is missing is said last, it may follow from a mistake with a name
        mistake, words = best = max(votes, key=lambda vote: (vote[0] != "output missing", votes.count(vote)))
        explained = [key for key, fits in unexplained.items() if best in fits]
        unexplained = {key: fits for key, fits in unexplained.items() if best not in fits}
        if mistake != "output missing" or not mistakes:
            sentences.append(f"{listed(list(dict.fromkeys(name for name, _ in explained)))}: {words}")
            mistakes.append(mistake)
    return "; ".join(sentences), tuple(dict.fromkeys(mistakes)), _evidence(found)


def _all_that_fit(name: str, probe: Probe, got: Outputs) -> list[tuple[str, str]]:
    """Return every mistake that gives exactly this output, specific ones first, with their sentences."""
    if name not in got:
        return [("output missing", MISTAKES["output missing"])]
    value, right = got[name], np.asarray(probe.right[name], dtype=float)
    fits = [
        (mistake, MISTAKES[mistake])
        for mistake, outputs in probe.wrong
        if name in outputs and close(value, outputs[name]) and not close(right, outputs[name])
    ]
    fits += [(mistake, MISTAKES[mistake]) for mistake in _general(value, right, probe)]
    return fits + _swapped(name, value, probe)


def _general(value: Any, right: Array, probe: Probe) -> list[str]:
    """Return the mistakes of scale, sign and shape, which any output may show."""
    got = as_numbers(value)
    if got is None:
        return ["nothing returned"] if value is None else []
    if got.shape != right.shape:
        if got.shape == right.shape[::-1] and close(got.T, right):
            return ["transposed"]
        return ["axis lost"] if got.size == right.size and close(got.reshape(right.shape), right) else []
    tests = [
        ("transposed", right.ndim == 2 and close(got.T, right)),
        ("1/m missing", probe.m > 1 and close(got, right * probe.m)),
        ("1/m twice", probe.m > 1 and close(got, right / probe.m)),
        ("divided by all", _divided_by_more(got, right, probe.m)),
        ("wrong sign", close(got, -right)),
        ("zero", not got.any()),
        ("not a number", not np.isfinite(got).all()),
    ]
    return [mistake for mistake, fits in tests if fits]


def _divided_by_more(got: Array, right: Array, m: int) -> bool:
    """Return True if the divisor is an integer larger than m, in place of m."""
    largest = np.unravel_index(int(np.argmax(np.abs(right))), right.shape)
    if m < 2 or not np.isfinite(got).all() or not got[largest]:
        return False
    other = m * right[largest] / got[largest]
    return bool(other > m + 0.5 and abs(other - round(other)) < 1e-6 * other and close(got * round(other) / m, right))


def _swapped(name: str, value: Any, probe: Probe) -> list[tuple[str, str]]:
    """Return the mistake of another array of the same probe in place of this one."""
    wanted = name.split(" ", maxsplit=1)[0]
    return [
        ("Z and H mixed up" if {other, wanted} == {"Z", "H"} else "the wrong array", f"it holds {other}, not {wanted}")
        for other, array in probe.related_arrays.items()
        if other != wanted and close(value, array)
    ]


def _plainly(name: str, probe: Probe, got: Outputs) -> str:
    """Describe the kind, the shape or the size of a value that no known mistake gives."""
    value, right = got[name], np.asarray(probe.right[name], dtype=float)
    numbers = as_numbers(value)
    if numbers is None:
        return f"must be {kind_of(right)}, got {kind_of(value)}"
    if numbers.shape != right.shape:
        return f"must have shape {right.shape}, got {numbers.shape}"
    share = numbers.ravel() / np.where(right == 0, np.nan, right).ravel()
    if np.nanmax(share, initial=-np.inf) - np.nanmin(share, initial=np.inf) < 1e-6 * abs(share[0]):
        return f"{share[0]:.6g} times the right value"
    return ""


def _evidence(found: Sequence[tuple[Probe, Outputs]]) -> Evidence | None:
    """Return the number that is furthest off, if the shapes are right."""
    for probe, got in found:
        for name in differing(probe, got):
            yours, right = as_numbers(got.get(name)), np.asarray(probe.right[name], dtype=float)
            if yours is None or yours.shape != right.shape:
                continue
            off = np.abs(np.where(np.isfinite(yours), yours, np.inf) - right)
            where = np.unravel_index(int(np.argmax(off)), off.shape)
            place = f"{name}[{', '.join(map(str, where))}]" if where else name
            measured = float(probe.slopes[name][where]) if name in probe.slopes else None
            return Evidence(place, float(yours[where]), float(right[where]), measured)
    return None
