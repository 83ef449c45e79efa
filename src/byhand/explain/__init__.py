"""Explanations: one step of learning with its real numbers, the formulas beside them, and the code that computed them.

    explanation = byhand.explain_step(model, digits.test[7])
    print(explanation.text())                the terminal's form; `.html()` is a page, a notebook shows that page

From the top: `step` takes one step through a `Pass`, which keeps every array; `names`, `layers`, `sliding` and `units`
say what they mean; `steps` and `worked` hold the result as data; `source` quotes the code; `terminal` and `page` draw
it all. `gradients` checks a trained model.
"""

from byhand.explain.step import explain_step
from byhand.explain.steps import Explanation, Figure, Step
from byhand.explain.worked import Unit

__all__ = ["Explanation", "Figure", "Step", "Unit", "explain_step"]
