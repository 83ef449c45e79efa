"""The report: what a trained network can and cannot do, in figures and in pictures.

`evaluate` makes the figures.
"""

from byhand.report.evaluation import Evaluation, evaluate, wilson

__all__ = ["Evaluation", "evaluate", "wilson"]
