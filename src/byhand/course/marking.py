"""The former name of `byhand.course.grading`, kept for one release: teachers' check files import `extra` from here."""

import warnings

from byhand.course.grading import extra

__all__ = ["extra"]

warnings.warn("byhand.course.marking is now byhand.course.grading", DeprecationWarning, stacklevel=2)
