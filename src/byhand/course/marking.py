"""The former name of `byhand.course.grading`, from which teachers' check files import `extra`; kept for one release."""

from byhand.course.grading import custom_check
from byhand.lazy import renamed

__all__ = ["custom_check"]
__getattr__ = renamed(__name__, {"extra": "custom_check"})
