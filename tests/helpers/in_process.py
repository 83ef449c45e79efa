"""The student's code in this process, without the sandbox's limits: for hundreds of checks of files that we wrote."""

import io
import sys

from byhand.course.check import Check
from byhand.course.sandbox import environment, packed, receive
from byhand.course.sandbox.__main__ import Sandbox, _time_limit
from byhand.course.sandbox.runner import Limits, Outcome, Student, _answer

#: Wall-clock limits as multiples of the CPU limits: no test may fail because the machine is busy.
BUSY = 50.0


class Loop(io.RawIOBase):
    """Both streams of the sandbox: a question is answered as soon as it is written."""

    def __init__(self):
        self.answers, self.reply = {}, io.BytesIO()

    def write(self, content):
        self.reply = io.BytesIO(packed(_answer(receive(io.BytesIO(content)), self.answers)))
        return len(content)

    def read(self, size=-1):
        return self.reply.read(size)


class InProcess(Student):
    """A `Student` whose calls run here; every value is packed and unpacked as between two processes."""

    def load(self):
        self.loop = Loop()
        self.sandbox = Sandbox(self.loop, self.loop)
        names = {"targets": self.targets, "modules": self.modules}
        request = {"cells": self.cells, **names, "output": self.limits.output, "wall_clock": BUSY}
        self.loaded = self._sent(self.sandbox.load(request))
        return Outcome(self.loaded)

    def _ask(self, request, seconds, answers=None):
        self.loop.answers = answers or {}
        names = request.get("largest")
        with _time_limit(seconds, BUSY):
            reply = self.sandbox.call(self._sent(request)) if names is None else self.sandbox.largest(names)
        if reply.get("error", {}).get("type") == "TooSlowError":
            return Outcome(died=f"did not end within {seconds:g} seconds")
        return self._outcome(self._sent(reply))

    @staticmethod
    def _sent(value):
        return receive(io.BytesIO(packed(value)))


def check(path, page, monkeypatch, **options):
    """Return the report on a file. As in the sandbox, plotting packages are replaced, and need not be installed."""
    monkeypatch.setattr("byhand.course.check.Student", InProcess)
    before = set(sys.modules)
    with monkeypatch.context() as only, Check(path, page, Limits(), **options) as one:
        only.setattr(sys, "meta_path", list(sys.meta_path))
        environment.hide_drawing()
        report = one.report()
    for name in sys.modules.keys() - before:
        if name.partition(".")[0] in environment.DRAWING:
            del sys.modules[name]
    return report
