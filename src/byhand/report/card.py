"""The description of a run or a model file: what it is, where it comes from, how well it was tested."""

import shlex
from pathlib import Path
from typing import Any

from byhand.files import StrPath
from byhand.text import counted, hanging, percent, printable
from byhand.training.records import tested
from byhand.training.runs import MODEL, Run, load_reader


def facts_of(path: StrPath) -> dict[str, Any]:
    """Return what a run or a model file is, as plain values: network, data, settings, accuracy, files."""
    path = Path(path)
    run, reader = Run.open(path), load_reader(path)
    is_run = not path.is_file() or path.name == MODEL
    config, files = (run.config(), run.files()) if is_run else ({}, [path])
    metadata = reader.metadata
    recipe = metadata.get("recipe") or config.get("recipe") or {}
    data = metadata.get("data", {})
    chosen = {name: recipe.get(name) for name in ("epochs", "batch_size", "learning_rate", "optimizer", "augment")}
    plain = {name: value.get("kind") if isinstance(value, dict) else value for name, value in chosen.items()}
    return {
        "run": str(run.folder if is_run else path),
        "network": reader.architecture,
        "parameters": reader.size,
        "classes": list(reader.classes),
        "data": data.get("name") or config.get("data_name"),
        "trained_on": data.get("images"),
        "settings": {name: value for name, value in plain.items() if value is not None},
        **tested(metadata),
        "ending": metadata.get("ending"),
        "files": {str(file.relative_to(run.folder)): file.stat().st_size for file in files},
        "made_with": config.get("made_with", {}),
        "command": config.get("command"),
    }


def described(facts: dict[str, Any], columns: int | None = None) -> str:
    """Return the lines of `byhand info` from `facts_of`, for a terminal of this width."""
    amount = f", {counted(facts['trained_on'], 'image')}" if facts["trained_on"] else ""
    rows = {
        "run": facts["run"],
        "network": facts["network"],
        "parameters": f"{facts['parameters']:,}",
        "classes": ", ".join(facts["classes"]),
        "data": f"{facts['data'] or 'unknown'}{amount}",
        **{name.replace("_", " "): f"{value}" for name, value in facts["settings"].items()},
        "test accuracy": accuracy_of(facts),
        **({"ended": facts["ending"]} if facts["ending"] else {}),
        "files": f"{counted(len(facts['files']), 'file')}, {counted(sum(facts['files'].values()), 'byte')}",
    }
    return "\n".join(hanging(f"{name:14} ", printable(value), columns) for name, value in rows.items())


def model_card(facts: dict[str, Any]) -> str:
    """Return a model card in Markdown from `facts_of`: https://arxiv.org/abs/1810.03993"""
    settings = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts["settings"].items())
    versions = ", ".join(f"{name} {value}" for name, value in facts["made_with"].items())
    amount = f" ({counted(facts['trained_on'], 'image')})" if facts["trained_on"] else ""
    command = f"\n```\n{printable(facts['command'], 1000)}\n```\n" if facts["command"] else ""
    return f"""# Model card: {facts["network"]}

A neural network that classifies images, trained with byhand.

- parameters: {facts["parameters"]:,}
- classes: {", ".join(facts["classes"])}

## Training

- data: {printable(facts["data"] or "unknown")}{amount}
{settings}
{command}
## Evaluation

- test accuracy: {accuracy_of(facts)}

## Limitations

The accuracy holds for images like the test images. Other writers, cameras and backgrounds can lower it. The network
gives a class to every image, also to one that shows none of its classes.

## Use

```
byhand predict --run {shlex.quote(facts["run"])} picture.png
```

Made with {versions or "byhand"}.
"""


def accuracy_of(facts: dict[str, Any]) -> str:
    """Return `92.40 % of 1,000 images (95 % interval 90.6 % to 93.9 %)`, or `not tested`."""
    if "test_accuracy" not in facts:
        return "not tested"
    low, high = (percent(end, 1) for end in facts["interval"])
    images = counted(facts["tested_on"], "image")
    return f"{percent(facts['test_accuracy'])} of {images} (95 % interval {low} to {high})"
