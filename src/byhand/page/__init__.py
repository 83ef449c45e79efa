"""HTML, JavaScript and CSS of the playground (`byhand.play`), the exported page and the reports.

There is no build step and no third-party code. The JavaScript implementation of the network is tested against Python
with golden vectors.
"""

import re
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from byhand.nn.arrays import Array
from byhand.page.document import source as source

if TYPE_CHECKING:
    from byhand.model import Model

#: The only forms of import and export in these files.
IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./([\w/-]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:const|class|function|async function) (\w+))", re.MULTILINE)

#: The files that the playground serves.
FILES = tuple(
    sorted(
        f"{folder}{entry.name}"
        for folder in ("", "panels/")
        for entry in (resources.files("byhand.page") / folder).iterdir()
        if entry.name.endswith((".js", ".css"))
    )
)


def bundled(entry: str) -> str:
    """Bundle a module and its imports into one script; each module becomes a function that returns its exports."""
    parts: dict[str, str] = {}

    def variable(name: str) -> str:
        return re.sub(r"\W", "_", name)  # ink.js → ink_js

    def add(name: str) -> None:
        if name in parts:
            return
        text = source(name)
        for _, needed in IMPORT.findall(text):
            add(needed)
        body = IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {variable(found[2])};\n", text)
        exports = EXPORT.findall(body)
        parts[name] = (
            f"const {variable(name)} = (() => {{\n{EXPORT.sub('', body)}return {{ {', '.join(exports)} }};\n}})();\n"
        )

    add(entry)
    return "\n".join(parts.values())


# ---- a model for the page


def model_description(model: "Model") -> dict[str, Any]:
    """Return the architecture, preparation, classes and image shape of a model."""
    description = {
        "architecture": model.network.config(),
        "preparation": model.preparation.config(),
        "classes": list(model.classes),
        "shape": list(model.image_shape),
    }
    if model.input != "handwriting":
        description["input"] = model.input
    return description if model.thresholds is None else description | {"thresholds": model.thresholds}


def model_weights(model: "Model") -> Array:
    """Return the parameters and statistics of each layer, in the order of `network.js`       float32 (P,)"""
    arrays = dict([*model.network.named(), *model.network.named_statistics()])
    parts = [
        arrays[f"{layer.index}.{name}"].ravel()
        for layer in model.network.layers
        for name in (*layer.shapes, *layer.statistics)
    ]
    return np.concatenate(parts).astype(np.float32)
