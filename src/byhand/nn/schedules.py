"""Learning-rate schedules: `schedule(step, total)` is the factor of the learning rate at a step, counted from 0."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from byhand import checks
from byhand.schema import of_kind


@dataclass(frozen=True)
class Constant:
    """1"""

    kind: ClassVar[str] = "constant"

    def __call__(self, step: int, total: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Step:
    """factor^⌊parts · step / total⌋: equal parts of the run, each with `factor` times the rate of the one before"""

    factor: float = 0.1
    parts: int = 3
    kind: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        checks.fraction("factor", self.factor, one=True)
        checks.integer("parts", self.parts, 1)

    def __call__(self, step: int, total: int) -> float:
        return float(self.factor ** (self.parts * min(step, total - 1) // total))


@dataclass(frozen=True)
class Exponential:
    """end^(step / total): exponential decay, down to `end` times the rate"""

    end: float = 0.01
    kind: ClassVar[str] = "exponential"

    def __post_init__(self) -> None:
        checks.fraction("end", self.end, one=True)

    def __call__(self, step: int, total: int) -> float:
        return float(self.end ** (min(step, total) / total))


@dataclass(frozen=True)
class Cosine:
    """end + (1 − end)(1 + cos(π step / total)) / 2, after a linear rise over the first `warmup` fraction of the run"""

    end: float = 0.0
    warmup: float = 0.0
    kind: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        checks.number("end", self.end, 0, 1)
        checks.fraction("warmup", self.warmup, zero=True)

    def __call__(self, step: int, total: int) -> float:
        rise = self.warmup * total
        if step < rise:
            return (step + 1) / (rise + 1)
        through = min(1.0, (step - rise) / max(1.0, total - rise))
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * through)) / 2


@dataclass(frozen=True)
class OneCycle:
    """A linear rise from `start` to 1 over the first `warmup` fraction of the run, then a linear fall to `end`"""

    start: float = 0.1
    warmup: float = 0.3
    end: float = 0.0
    kind: ClassVar[str] = "one_cycle"

    def __post_init__(self) -> None:
        checks.number("start", self.start, 0, 1)
        checks.number("end", self.end, 0, 1)
        checks.fraction("warmup", self.warmup)

    def __call__(self, step: int, total: int) -> float:
        peak = self.warmup * total
        if step < peak:
            return self.start + (1 - self.start) * step / peak
        through = min(1.0, (step - peak) / max(1.0, total - peak))
        return 1 + (self.end - 1) * through


Schedule = Constant | Step | Exponential | Cosine | OneCycle
SCHEDULES: dict[str, type[Schedule]] = {s.kind: s for s in (Constant, Step, Exponential, Cosine, OneCycle)}


def schedule_named(kind: str, **settings: Any) -> Schedule:
    """Return the schedule with this name and these settings."""
    return of_kind("schedule", SCHEDULES, {"kind": kind, **settings})


def schedule_config(schedule: Schedule) -> dict[str, Any]:
    """Return the schedule and its settings as plain values."""
    return {"kind": schedule.kind, **asdict(schedule)}
