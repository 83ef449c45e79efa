"""byhand: a handwriting-recognition neural network implemented from scratch in NumPy.

Start reading at `byhand.nn.network`; `byhand.reference` has the same formulas as plain functions. The names below are
imported when they are first used: `import byhand` loads nothing else, not even NumPy.
"""

from typing import TYPE_CHECKING

from byhand.lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from byhand.data import Dataset as Dataset
    from byhand.data import load as load
    from byhand.errors import ByhandError as ByhandError
    from byhand.explain import explain_step as explain_step
    from byhand.model import Model as Model
    from byhand.model import read as read
    from byhand.model import read_line as read_line
    from byhand.model import read_page as read_page
    from byhand.nn.gradcheck import gradcheck as gradcheck
    from byhand.nn.network import Network as Network
    from byhand.report import Evaluation as Evaluation
    from byhand.report import evaluate as evaluate
    from byhand.report import plot_history as plot_history
    from byhand.training import History as History
    from byhand.training import fit as fit
    from byhand.training.runs import load_model as load_model

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ByhandError": "byhand.errors",
        "Dataset": "byhand.data",
        "Evaluation": "byhand.report",
        "History": "byhand.training",
        "Model": "byhand.model",
        "Network": "byhand.nn.network",
        "evaluate": "byhand.report",
        "explain_step": "byhand.explain",
        "fit": "byhand.training",
        "gradcheck": "byhand.nn.gradcheck",
        "load": "byhand.data",
        "load_model": "byhand.training.runs",
        "plot_history": "byhand.report",
        "read": "byhand.model",
        "read_line": "byhand.model",
        "read_page": "byhand.model",
    },
    {
        **dict.fromkeys(("Sequential", "Dense", "layers", "models", "nn"), "byhand.Model([784, 128, 10])"),
        **dict.fromkeys(("MLPClassifier", "NetworkClassifier"), "from byhand.sklearn import NetworkClassifier"),
        **dict.fromkeys(("MLPRegressor", "NetworkRegressor"), "from byhand.sklearn import NetworkRegressor"),
        **dict.fromkeys(("datasets", "load_data", "mnist", "fetch_openml", "load_digits"), 'byhand.load("mnist")'),
        **dict.fromkeys(("train", "compile"), "byhand.fit(model, X, y)"),
        **dict.fromkeys(("predict", "predict_proba", "save"), "(a method of the model)"),
    },
)

__all__ = ["ByhandError", "Dataset", "Evaluation", "History", "Model", "Network", "__version__", "evaluate"]
__all__ += ["explain_step", "fit", "gradcheck", "load", "load_model", "plot_history", "read", "read_line"]
__all__ += ["read_page"]
