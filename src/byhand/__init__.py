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
    from byhand.nn.gradcheck import gradcheck as gradcheck
    from byhand.nn.network import Network as Network
    from byhand.training import fit as fit

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ByhandError": "byhand.errors",
        "Dataset": "byhand.data",
        "Model": "byhand.model",
        "Network": "byhand.nn.network",
        "explain_step": "byhand.explain",
        "fit": "byhand.training",
        "gradcheck": "byhand.nn.gradcheck",
        "load": "byhand.data",
        "read": "byhand.model",
        "read_line": "byhand.model",
    },
)

__all__ = ["ByhandError", "Dataset", "Model", "Network", "__version__", "explain_step", "fit", "gradcheck", "load"]
__all__ += ["read", "read_line"]
