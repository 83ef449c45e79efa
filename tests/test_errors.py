"""Errors: each can be pickled and copied."""

import copy
import pickle

from byhand.distributed.ensemble import MemberFailedError
from byhand.errors import ByhandError, MissingExtraError


def every_error(kind=ByhandError):
    """Yield all error classes of the package."""
    yield kind
    for below in kind.__subclasses__():
        yield from every_error(below)


def test_errors_can_be_pickled_and_copied():
    failed = MemberFailedError("member 2 ended", 139)
    errors = [kind("onnx", "onnx") if kind is MissingExtraError else kind("what went wrong") for kind in every_error()]
    assert len(errors) >= 11
    for error in [*errors, failed]:
        for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert (type(again), str(again), again.exit_code) == (type(error), str(error), error.exit_code)
    assert str(MissingExtraError("joblib", "sweep")) == "this needs joblib: pip install '.[sweep]' in byhand's folder"
