"""Find wording that the project's style bans: `python tools/check_language.py [PATH…]`; exits with 1 if there is any.

Docstrings, comments and longer strings are read from Python, all prose from Markdown, TOML and the pages' HTML and
JavaScript. CONTRIBUTING.md has the rules; a pattern finds only a part of what they mean.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
#: What is checked if no path is given.
PATHS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "ACKNOWLEDGEMENTS.md", "NOTICE", "docs", "src"]
PATHS += ["tests", "benchmarks", "tools", "examples", "noxfile.py"]
SUFFIXES = {".py", ".md", ".toml", ".html", ".js", ".mjs", ""}
#: Files that quote banned wording: the checker, its test, and files in other people's styles.
EXEMPT = {"tools/check_language.py", "tests/test_language.py", "tests/students"}


#: Code in prose, and the tokens of Python that may contain a `#`.
CODE = re.compile(r"`[^`]*`|--[a-z][a-z-]*")
STRING_OR_COMMENT = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|\'{3}(?:\\.|[^\\])*?\'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|#[^\n]*''', re.DOTALL
)


class Text(NamedTuple):
    """A text that people read; `kind` is docstring, comment, string or prose."""

    line: int
    kind: str
    words: str


class Ban:
    """A pattern, the better wording, and the kinds of text that it applies to (all, if empty)."""

    def __init__(self, pattern: str, better: str, kinds: tuple[str, ...] = ()) -> None:
        self.pattern, self.better, self.kinds = re.compile(pattern, re.IGNORECASE), better, kinds


BANS = [
    Ban(r"^(What|Whether|Who|Whom|Whose|Where|That|How)\b(?![^.]*\?)", "start with a verb or a noun", ("docstring",)),
    Ban(
        r"^(What|Whether|Who|Whom|Whose|That) (?![^.]*\?).*\.( \(`|$)",
        "start with a verb or a noun",
        ("comment", "string"),
    ),
    Ban(r"\b(nobody|somebody|whoever|whomever|anybody|everybody)\b", "None, the caller, the user, every …"),
    Ban(r"\b(is|are|was|were|to be|been|being|is what is) (told|said|heard)\b", "is passed, returned, raised, logged"),
    Ban(
        r"\b(command|program|page|machine|module|class|function|code|network|layer|space|each|what .{0,20}packages) "
        r"(says?|tells?|asks?|hears?|believes?|knows?)\b",
        "programs return, raise, log and write",
    ),
    Ban(r"\bas such\b", "leave it out"),
    Ban(
        r"\b(those|for them|we|whom) (who|learned from|who work on)\b|\bfor those who\b", "contributors, users, callers"
    ),
    # American spelling
    Ban(
        r"\b(de|re|un)?(custom|general|initial|maxim|minim|normal|optim|organ|parallel|penal|random|recogn|regular"
        r"|serial|standard|summar|util|vector|visual)is(e|es|ed|ing|er|ers|ation|ations)\b",
        "American spelling: -ize",
    ),
    Ban(r"\b\w*(colour|centre|neighbour|behaviour|favour)\w*|\bgrey\w*", "American spelling"),
    Ban(r"\b(label|model|signal|travel|cancel)l(ed|ing)\b|\banalys(e|ed|ing)\b", "American spelling"),
    # The project's old terms
    Ban(r"\bcommittees?\b|\bread together\b|\basked more than once\b", "ensemble"),
    Ban(r"\bslips?\b", "mistake, bug"),
    Ban(r"\bmend(s|ed|ing)?\b", "fix"),
    Ban(r"\bmade small\b", "minimize"),
    Ban(r"\bpull of the weights\b", "L2 penalty (weight decay)"),
    Ban(r"\ball that is random\b", "random seed"),
    Ban(r"\bno talk\b|\btalk is\b", "messages and progress"),
    Ban(r"\bgo(es|ing)? on where\b|\bnot as before, so\b", "resume"),
    Ban(r"\bto the (very |last )*bits?\b", "bit-identical"),
    Ban(
        r"\bis as fast\b|\bproducts' limit\b|\bso as right\b|\bfast by doing\b|\btimes the whole\b",
        "speedup, % of peak",
    ),
    Ban(r"\bhow a figure is made\b|\bwas not reached\b", "methodology; goals we missed"),
    Ban(r"\bnever seen\b|\bwhat will be read\b", "held-out"),
    Ban(r"\b(left|leaves?) the numbers\b|\ball is lost\b", "overflow, diverge"),
    Ban(r"\bcareful rate\b|\bdaring (one|rate)\b", "conservative, aggressive"),
    Ban(
        r"\btaken for what\b|\bhow to do it again\b|\bwhen it doesn't know\b",
        "confusion matrix, calibration, reproduce",
    ),
    Ban(r"\breckon\w*|\bhangs? on each\b|\bdo with their sum\b|\bhow far a step\b|\bstep of a gradient\b", "compute"),
    Ban(r"\b(worked|seen|asked) at once\b|\bworked in blocks\b|\bkeeps its pace\b", "block size, concurrency limit"),
    Ban(r"\blimits us\b|\bwhose word counts\b|\btakes? its leave\b|\bclaim to know\b", "say the term"),
    Ban(r"\ba batch came to\b", "result of a batch"),
    Ban(r"\bas if the \w+ had been\b|\bis not training\b", "restore the state; inference mode"),
    Ban(r"\bmore than luck\b|\bhow far luck\b", "statistically significant, sampling uncertainty"),
    Ban(r"\bhas had enough\b|\bwithout a word\b|\bleaves? with (0|1)\b", "closed pipe; silently; exit with status"),
    Ban(r"\bsweep up after\b|\bcosts? what it\b", "remove temporary files; lose"),
    Ban(r"\bnot believed\b|\bmore is not\b|\bwhat is there\b", "validated; the maximum; the default"),
    Ban(r"\bat home in\b|\btaking .{0,20} home\b|\berrs elsewhere\b|\bheld still\b", "integrations, exporting, fixed"),
    Ban(r"\b(what|a file) (that )?(was|is) (given|there already)\b", "the value; an existing file"),
    Ban(r"\bthere is neither\b|\bwhich are two\b|\bno picture there\b|\ba recipe has\b", "the rule and the value"),
    Ban(
        r"\bso many images\b|\bon no page\b|\bits name from now on\b|\btyped twice\b", "the first N images; imported as"
    ),
    Ban(r"\bnot written yet is\b|\bright one way\b|\bwhat is right decides\b", "unwritten functions are not errors"),
    Ban(r"\bwere begun\b|\bmay be overtaken\b|\bnothing for nobody\b|\basks nobody\b", "say the term"),
    Ban(
        r"\bwritten out by hand\b|\btake its checks along\b|\bbeside its real\b|\blies? beside\b",
        "see LANGUAGE: README",
    ),
    Ban(r"\bholds? the \w+ and the \w+ together\b", "a test checks that … agree"),
]


#: Finds all bans that apply to each kind of text, in lower case: most files have none of them.
ANYWHERE = re.compile("|".join(each.pattern.pattern.lower() for each in BANS if not each.kinds))


def from_python(source: str) -> Iterator[Text]:
    """Yield docstrings, comments (consecutive lines as one) and strings of three words or more."""
    tree = ast.parse(source)
    docstrings, strings = set(), list[ast.Constant]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            text := ast.get_docstring(node)
        ):
            docstrings.add(id(node.body[0].value))  # type: ignore[attr-defined]
            yield Text(node.body[0].lineno, "docstring", text)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") >= 2:
            strings.append(node)
    yield from (Text(node.lineno, "string", node.value) for node in strings if id(node) not in docstrings)
    block: list[str] = []
    last = 0
    end, line = 0, 1
    for token in STRING_OR_COMMENT.finditer(source):
        if not token[0].startswith("#"):
            continue
        line += source.count("\n", end, token.start())
        end = token.start()
        if line != last + 1 and block:
            yield Text(last - len(block) + 1, "comment", " ".join(block))
            block = []
        block.append(token[0].lstrip("#: "))
        last = line
    if block:
        yield Text(last - len(block) + 1, "comment", " ".join(block))


def from_prose(source: str) -> Iterator[Text]:
    """Yield paragraphs, headings, table rows and list items, each as one text."""
    start, lines = 1, list[str]()
    for number, line in enumerate([*source.splitlines(), ""], 1):
        own = line.lstrip().startswith(("|", "#", "- ", "* ", "<", "//"))
        if lines and (own or not line.strip()):
            yield Text(start, "prose", " ".join(lines))
            lines = []
        if line.strip():
            start = start if lines else number
            lines.append(line.strip().removeprefix("- ").strip("|#*</ "))


def hits(path: Path) -> Iterator[str]:
    """Yield a line for each banned wording in the file."""
    source = path.read_text("utf-8")
    texts = list(from_python(source) if path.suffix == ".py" else from_prose(source))
    read = [CODE.sub("``", " ".join(text.words.split())) for text in texts]
    bans = BANS if ANYWHERE.search("\n".join(read).lower()) else [each for each in BANS if each.kinds]
    for text, words in zip(texts, read, strict=True):
        for each in bans:
            if (not each.kinds or text.kind in each.kinds) and (hit := each.pattern.search(words)):
                yield f"{path}:{text.line}: {text.kind}: “{hit[0][:60]}”: {each.better}"


def files(paths: list[Path]) -> Iterator[Path]:
    """Yield the files to check, of files and folders."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = file.relative_to(ROOT).as_posix()
            if file.is_file() and file.suffix in SUFFIXES and not name.startswith(tuple(EXEMPT)):
                yield file


def main() -> int:
    found = [hit for path in files([ROOT / name for name in sys.argv[1:] or PATHS]) for hit in hits(path)]
    print(*found, f"{len(found)} hits", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
