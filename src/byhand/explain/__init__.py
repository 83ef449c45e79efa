"""Explanations: one step of learning with its real numbers, the formulas beside them, and the code that computed them.

    explanation = byhand.explain_step(model, digits.test[7])
    print(explanation.text())                the terminal's form; `.html()` is a page, a notebook shows that page

From the top: `step` runs one step and keeps every array (`way`), `layers` and `units` say what they mean, `steps` is it
as data, `source` quotes the code, and `terminal` and `page` draw it.
"""

from byhand.explain.step import explain_step
from byhand.explain.steps import Explanation, Figure, Step, Unit

__all__ = ["Explanation", "Figure", "Step", "Unit", "explain_step"]
