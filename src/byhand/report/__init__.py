"""Reports: metrics of a model (`evaluate`), an HTML report, comparisons of runs, and Matplotlib plots.

`lr_find` and `sweep` are the pages of a learning-rate range test and of a hyperparameter search.
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
