"""The page: the files that a browser runs, shared by the playground (`byhand.play`) and the exported page.

Plain modules and style sheets, used as they lie here: no build step, nothing from elsewhere. `source` reads one,
`bundled` joins a module with all that it imports for a page that is a single file, and `byhand.page.payload` says how a
model is handed to them. The network's formulas stand here once more, in JavaScript; golden vectors hold them to Python.
"""

import re
from importlib import resources

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


def source(name: str) -> str:
    """The text of one of the page's files."""
    return (resources.files("byhand.page") / name).read_text("utf-8")


def bundled(entry: str) -> str:
    """The module `entry` and everything it imports, as the text of one script.

    Each module becomes a function that is called once and gives what the module exports; what is imported is taken
    from those that came before. The modules themselves are not changed.
    """
    parts: dict[str, str] = {}

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


def variable(name: str) -> str:
    """`./ink.js` → `ink_js`"""
    return re.sub(r"\W", "_", name)
