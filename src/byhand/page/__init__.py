"""The page: the files that a browser runs, shared by the playground (`byhand.play`) and the exported page.

Plain modules and style sheets, used as they lie here: no build step, nothing from elsewhere. `source` reads one,
`bundled` joins a module with all that it imports for a page that is a single file, and `model_description` and
`model_weights` are a model as `network.js` reads it. The network's formulas stand here once more, in JavaScript; golden
vectors hold them to Python.
"""

import re
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from byhand.nn.arrays import Array
from byhand.page.document import source as source

if TYPE_CHECKING:
    from byhand.model import Model

#: An import and an export as these files write them, one a line.
IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./([\w/-]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:const|class|function|async function) (\w+))", re.MULTILINE)

#: What a browser may ask for.
FILES = tuple(
    sorted(
        f"{folder}{entry.name}"
        for folder in ("", "panels/")
        for entry in (resources.files("byhand.page") / folder).iterdir()
        if entry.name.endswith((".js", ".css"))
    )
)


def bundled(entry: str) -> str:
    """The module `entry` and everything it imports, as the text of one script.

    Each module becomes a function that is called once and gives what the module exports; what is imported is taken
    from those that came before. The modules themselves are not changed.
    """
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
    """Return what the page needs to know of a model besides its weights."""
    description = {
        "architecture": model.network.config(),
        "preparation": model.preparation.config(),
        "classes": list(model.classes),
        "shape": list(model.image_shape),
    }
    return description if model.input == "handwriting" else description | {"input": model.input}


def model_weights(model: "Model") -> Array:
    """Return the parameters and then the statistics of each layer in turn       float32 (P,)

    `network.js` cuts them apart in the same order.
    """
    arrays = dict([*model.network.named(), *model.network.named_statistics()])
    parts = [
        arrays[f"{layer.index}.{name}"].ravel()
        for layer in model.network.layers
        for name in (*layer.shapes, *layer.statistics)
    ]
    return np.concatenate(parts).astype(np.float32)
