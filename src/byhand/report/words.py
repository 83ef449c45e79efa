"""Words: how the report writes shares and settings."""

from collections.abc import Iterator, Mapping
from typing import Any


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (name, value) lines: `recipe.optimizer.kind`, `momentum`."""
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                yield f"{name}[{number}]", ", ".join(f"{k} {v}" for k, v in item.items())
        else:
            yield name, "–" if value is None else str(value)
