"""The report: how well a model reads, in figures, charts and pictures.

`evaluate` makes the figures, `html_report` the page of a model, `compare_runs` puts runs side by side, and the `plot_…`
functions draw on Matplotlib's axes in a notebook. `lr_find` and `sweep` are the pages of a learning-rate range test and
of a hyperparameter search.
"""

from byhand.report.comparison import compare, compare_runs
from byhand.report.evaluation import Evaluation, evaluate
from byhand.report.page import html_report
from byhand.report.plots import plot_confusion, plot_history, plot_mistakes, plot_prediction, plot_weights
from byhand.training.records import wilson

__all__ = [
    "Evaluation",
    "compare",
    "compare_runs",
    "evaluate",
    "html_report",
    "plot_confusion",
    "plot_history",
    "plot_mistakes",
    "plot_prediction",
    "plot_weights",
    "wilson",
]
