"""At home in scikit-learn: `from byhand.sklearn import NetworkClassifier`. It needs the extra `sklearn`."""

from byhand.errors import MissingExtraError

try:
    from sklearn.utils.validation import validate_data as _since_1_6  # noqa: F401
except ImportError as error:
    raise MissingExtraError("scikit-learn 1.6 or later", "sklearn") from error

from byhand.sklearn.classifier import NetworkClassifier

__all__ = ["NetworkClassifier"]
