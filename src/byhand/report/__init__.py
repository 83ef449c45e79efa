"""The report: what a trained network can and cannot do, in figures and in pictures.

`evaluate` makes the figures, `html_report` the page.
"""

from byhand.report.evaluation import Evaluation, evaluate, wilson
from byhand.report.page import html_report

__all__ = ["Evaluation", "evaluate", "html_report", "wilson"]
