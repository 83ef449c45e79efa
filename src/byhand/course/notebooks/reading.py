"""A student's file as a list of cells: a Python file is one cell, a notebook is the source of each of its code cells.

A notebook is read as the JSON that it is; nothing is run. Lines that only IPython understands are blanked, so that
every other line keeps its number.
"""

import io
import json
import re
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from byhand.errors import DataError, DataMissingError, UsageError

LARGEST = 64 * 2**20
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")  # the rest of the cell is still Python
IPYTHON = re.compile(
    r"([ \t]*)(?:[%!?].*|\w+(?:\.\w+)*\?{1,2}[ \t]*|[\w, ]+=[ \t]*[!%](?!=).*)$",
    re.MULTILINE,
)
ATOM = re.compile(  # of Python, as far as it matters to where statements begin: strings and comments are whole
    r"""#[^\n]*|(\"{3}|'{3})(?:\\.|.)*?(?:\1|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\\\n|[^#"'\\\n()\[\]{}]+|.""",
    re.DOTALL,
)
ONLY_A_STATEMENT = re.compile(r"[ \t]*(?:def|class|return|import|while|with|try)\b")  # never within brackets
OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")


def read_cells(path: Path) -> list[str]:
    """The Python of each cell, in order; an error that names the file where there is none."""
    if path.suffix.lower() not in (".py", ".ipynb"):
        raise UsageError(f"FILE must be a .py or .ipynb file, got {path}")
    if not path.is_file():
        raise DataMissingError(f"{path}: no such file")
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path}: must be at most {LARGEST / 2**20:.0f} MB, got {path.stat().st_size / 2**20:.0f} MB")
    content = path.read_bytes()
    if path.suffix.lower() == ".ipynb":
        return [plain(source) for source in _sources(path, content)]
    return [_with_newlines(_decoded(path, content))]


def _decoded(path: Path, content: bytes) -> str:
    """The text of a Python file, in the encoding that its first lines declare; in UTF-8 where they declare none."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    except SyntaxError:  # one that Python doesn't know, or the first lines are no UTF-8: what follows says where
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError) as error:
        place = error.start if isinstance(error, UnicodeDecodeError) else None
        got = str(error) if place is None else f"byte {content[place]:#04x} at {place}"
        raise DataError(f"{path}: must be {encoding.removesuffix('-sig').upper()} text, got {got}") from error


def names_in(path: Path) -> dict[str, str]:
    """{page's name: the notebook's} for functions that an imported notebook calls otherwise, from its metadata."""
    if path.suffix.lower() != ".ipynb":
        return {}
    notebook = read_notebook(path, path.read_bytes())
    metadata = notebook.get("metadata") if isinstance(notebook, dict) else None
    ours = metadata.get("byhand") if isinstance(metadata, dict) else None
    names = ours.get("names") if isinstance(ours, dict) else None
    return {
        str(name): one
        for name, one in (names.items() if isinstance(names, dict) else ())
        if isinstance(one, str) and one.isidentifier()
    }


def renamed(cells: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """The cells with their own names for functions replaced by the page's; `names` is {page's: theirs}."""
    ours = {theirs: name for name, theirs in names.items()}
    if not ours:
        return list(cells)
    words = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, ours))})(?!\w)")
    return [words.sub(lambda found: ours[found[1]], cell) for cell in cells]


def read_notebook(path: Path, content: bytes) -> Any:
    """The JSON of a notebook."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: must be a notebook, got no valid JSON ({error})") from error


def _sources(path: Path, content: bytes) -> list[str]:
    notebook = read_notebook(path, content)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if cells is None and isinstance(notebook, dict):  # notebooks before version 4 kept their cells in worksheets
        worksheets = notebook.get("worksheets")
        if isinstance(worksheets, list):
            sheets = [sheet.get("cells") for sheet in worksheets if isinstance(sheet, dict)]
            cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        raise DataError(f"{path}: must be a notebook, got JSON without cells")
    return [source_of(cell) for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]


def source_of(cell: Mapping[str, Any]) -> str:
    """The text of a cell, whether it is kept as one or line by line."""
    source = cell.get("source", cell.get("input", ""))
    lines = source if isinstance(source, list) else [source]
    return _with_newlines("".join(line for line in lines if isinstance(line, str)))


def _with_newlines(text: str) -> str:
    """The text with each line that Python counts ended by a newline, so that whoever cuts it there counts alike."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def plain(source: str) -> str:
    """The cell without IPython's own lines: `%matplotlib inline`, `!pip …`, `sigmoid?`, `files = !ls`, `%%bash`.

    They are such only where a statement may begin: a `%` in the midst of one is Python's.
    """
    first = source.lstrip().split("\n")[0].split(" ")[0].strip()
    if first.startswith("%%") and first not in PYTHON_MAGICS:
        return "\n" * source.count("\n")
    kept: list[str] = []
    place, depth, at_margin = 0, 0, True
    while place < len(source):
        if at_margin and ONLY_A_STATEMENT.match(source, place):
            depth = 0  # a bracket was left open: its cell is not Python, the magics further down are some all the same
        magic = IPYTHON.match(source, place) if at_margin and depth == 0 else None
        found = magic or ATOM.match(source, place)
        assert found is not None  # an atom is at least one character, whichever it is
        kept.append(f"{magic[1]}pass" if magic else found[0])
        depth = max(0, depth + (found[0] in OPENING) - (found[0] in CLOSING))
        place, at_margin = found.end(), found[0] == "\n"
    return "".join(kept)
