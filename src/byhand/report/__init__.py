"""The report: what a trained network can and cannot do, in figures and in pictures.

`evaluate` makes the figures, `html_report` the page, `compare` puts runs side by side, and the `plot_…` functions draw
on Matplotlib's axes in a notebook. What draws is fetched when it is first used.
"""

from typing import TYPE_CHECKING

from byhand.lazy import lazy_names
from byhand.report.evaluation import Evaluation, evaluate, wilson

if TYPE_CHECKING:
    from byhand.report.comparison import compare as compare
    from byhand.report.page import html_report as html_report
    from byhand.report.plots import plot_confusion as plot_confusion
    from byhand.report.plots import plot_history as plot_history
    from byhand.report.plots import plot_mistakes as plot_mistakes
    from byhand.report.plots import plot_prediction as plot_prediction
    from byhand.report.plots import plot_weights as plot_weights

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "compare": "byhand.report.comparison",
        "html_report": "byhand.report.page",
        "plot_confusion": "byhand.report.plots",
        "plot_history": "byhand.report.plots",
        "plot_mistakes": "byhand.report.plots",
        "plot_prediction": "byhand.report.plots",
        "plot_weights": "byhand.report.plots",
    },
)

__all__ = [
    "Evaluation",
    "compare",
    "evaluate",
    "html_report",
    "plot_confusion",
    "plot_history",
    "plot_mistakes",
    "plot_prediction",
    "plot_weights",
    "wilson",
]
