"""The code that an explanation quotes must be on the quoted line."""

import re
from pathlib import Path

import numpy as np

import byhand
from byhand.explain import explain_step, source
from byhand.explain.source import formula, formulas, quote
from byhand.model.preparation import Preparation
from byhand.nn import activations, convolution
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.layers import Dense
from byhand.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from byhand.nn.optimizers import OPTIMIZERS

ROOT = Path(byhand.__file__).parent.parent


def every_quote():
    """Yield all the code that any explanation quotes: each activation, layer, loss and optimizer."""
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 4)).astype(np.uint8)
    for activation in ACTIVATIONS:
        model = byhand.Model([12, 5, 3], activation=activation, batch_norm=True, dropout=0.2)
        yield from quotes(model, images)
    for rule in OPTIMIZERS.values():
        for loss in (MeanSquaredError(), SoftmaxCrossEntropy()):
            yield from quotes(byhand.Model([12, 5, 3]), images, loss=loss, optimizer=rule())
    yield from quotes(byhand.Model([16, 3], maps=[(2, 2, 1), (2, 2, 1)]), images[:, :1].repeat(4, 1))


def quotes(model, images, **settings):
    for step in explain_step(model, images, [0, 1, 2, 0], **settings).walk():
        for _, found in step.code:
            yield found
            if found.reference:
                yield found.reference


def test_every_quoted_line_is_in_its_file_at_its_number():
    seen = {found.place: found for found in every_quote()}
    assert len(seen) > 30
    for found in seen.values():
        assert found.is_exact, f"{found.function} no longer has the line that explanations quote"
        file, line = found.place.split(":")
        text = (ROOT / file).read_text("utf-8")
        lines = [re.sub(r"  # type: ignore.*", "", line) for line in text.splitlines()]  # not shown
        first = found.text.splitlines()[0]
        assert first, found
        assert first in lines[int(line) - 1], found
        in_file = "\n".join(line.strip() for line in lines)
        for line in found.text.splitlines():
            assert line.strip() in in_file, found


def test_code_of_preparation_and_probabilities_is_quoted():
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 4)).astype(np.uint8)
    for preparation, line in ((Preparation(), "out /= self.divisor"), (Preparation.standard(), "out -= self.mean")):
        steps = {s.key: s for s in explain_step(byhand.Model([12, 3], preparation=preparation), images, [1]).walk()}
        assert line in steps["picture"].code[0][1].text
        assert [found.text for _, found in steps["answer"].code] == [
            "np.exp(S, out=P)",
            "np.add.reduce(P, axis=0, out=log_sum)",
        ]


def test_the_lines_of_the_reference_are_quoted_beside_those_of_the_network():
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 4)).astype(np.uint8)
    steps = explain_step(byhand.Model([12, 5, 3]), images, [1]).walk()
    found = {(step.key, what): quote.reference for step in steps for what, quote in step.code if quote.reference}
    assert found["forward.0", "X W1"].text == "Z = np.dot(W, H_prev) + b  # 2.1"
    assert found["forward.1", "H1"].text == "return np.maximum(0, Z), Z"
    assert found["loss", "P − Y"].text == "dZ = HL - Y  # 1"
    assert found["backward.2", "dW2"].text == "dW = np.dot(dZ, H_prev.T) / m  # 5.2"
    assert found["backward.1", "dZ1"].function == "relu_backward"
    assert found["update", "parameters"].text == 'parameters[name] = value - learning_rate * gradients[f"d{name}"]'
    smooth = explain_step(byhand.Model([12, 3]), images, [1], loss=SoftmaxCrossEntropy(0.1)).walk()
    assert not any(quote.reference for step in smooth if step.key == "loss" for what, quote in step.code if what != "P")


def test_a_removed_line_is_never_quoted(tmp_path, monkeypatch):
    module = tmp_path / "quoted_once.py"
    module.write_text('def f(x):\n    """y = 2 x"""\n    y = 2 * x\n    return y\n')
    monkeypatch.syspath_prepend(tmp_path)
    import quoted_once

    found = quote(quoted_once.f, "2 * x")
    assert (found.text, found.place, found.is_exact) == ("y = 2 * x", "quoted_once.py:3", True)
    module.write_text('def f(x):\n    """y = 2 x"""\n    y = x\n    return y + x\n')
    found = quote(quoted_once.f, "2 * x")
    assert (found.text, found.place, found.is_exact) == ("y = x\nreturn y + x", "quoted_once.py:3", False)


def test_expressions_are_compared_as_code():
    assert quote(Dense.backward, "(cache).dW").text == "np.matmul(cache.X.T, dZ, out=cache.dW)"


def test_a_whole_body_is_quoted_without_its_docstring():
    assert quote(activations.tanh).text == "return np.tanh(Z, out=out)"


def test_without_source_files_the_module_is_still_named(monkeypatch):
    def gone(_):
        raise OSError

    monkeypatch.setattr(source.inspect, "getsourcelines", gone)
    found = quote(Dense.forward)
    assert (found.text, found.place) == ("", "byhand/nn/layers.py")


def test_formulas_come_from_the_docstrings():
    assert formula(Dense.forward) == "Z = X W + b"
    assert formulas(SoftmaxCrossEntropy).splitlines()[-1] == "dZ = (P − Y) / N"
    assert formulas(MeanSquaredError).splitlines() == ["loss = (1/NK) Σ (Z − Y)²", "dZ = 2 (Z − Y) / NK"]
    for pair in ACTIVATIONS.values():
        assert formula(pair.forward).startswith("H = ")
        assert formula(pair.backward).startswith("dZ = ")
    for rule in OPTIMIZERS.values():
        assert "←" in formula(rule)


def test_formulas_use_the_names_of_the_step():
    images = np.zeros((2, 3, 4), np.uint8)
    explanation = explain_step(byhand.Model([12, 5, 3], activation="gelu", batch_norm=True), images, [0, 1])
    written = {step.key: step.formula for step in explanation.walk()}
    assert written["forward.0"] == "Z1 = X W1 + b1"
    assert written["forward.1"] == "X̂ = (X − μ) / √(σ² + ε),  out = γ X̂ + β".replace("(X", "(Z1").replace(
        "μ", "μ1"
    ).replace("σ²", "σ²1").replace("γ", "γ1").replace("β", "β1").replace("out", "B1")
    assert written["forward.2"].startswith("H1 = B1 (1 + t) / 2")
    assert written["backward.3"] == "dW2 = H1ᵀ dZ2\ndb2 = Σ dZ2 over the samples\ndH1 = dZ2 W2ᵀ"
    assert written["backward.0"] == "dW1 = Xᵀ dZ1\ndb1 = Σ dZ1 over the samples"


def test_formulas_of_a_convolution_are_those_of_its_module():
    assert formulas(convolution) == "P = windows of X\nZ = P W + b"
    images = np.zeros((2, 4, 4), np.uint8)
    explanation = explain_step(byhand.Model([16, 3], maps=[(2, 2, 1), (2, 2, 1)]), images, [0, 1])
    written = {step.key: step.formula for step in explanation.walk()}
    assert written["forward.2"] == "P2 = windows of H1\nZ2 = P2 W2 + b2"
    assert written["backward.2"].splitlines() == [
        "dW2 = P2ᵀ dZ2",
        "db2 = Σ dZ2 over places and samples",
        "dP2 = dZ2 W2ᵀ",
        "dH1 = Σ dP2 over the windows that contain the number",
    ]
    assert written["backward.0"] == "dW1 = P1ᵀ dZ1\ndb1 = Σ dZ1 over places and samples"
