"""Wording: the checker finds nothing in the project, and finds each of the old sentences."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import check_language  # noqa: E402  a program of the repository, not of the package

#: Sentences of docstrings and help that the style replaced.
DOCSTRINGS = [
    "Samples worked at once where a window is slid over them: it sees each number many times.",
    "without it nobody is training",
    "The first layer that learns is the last that is asked: nobody needs the derivative by the pixels.",
    "it can't be worked in blocks",
    "Whether this is a number to reckon with.",
    "squares leave the numbers long before their roots do",
    "nobody is asked to be certain",
    "Training left the numbers",
    "What was given in the place of something else, in a word or two for the end of a message.",
    "what went wrong first is what is told",
    "Who limits the BLAS in the usual way limits us too.",
    "The BLAS has one number for the whole process: this is held by the thread whose word counts.",
    "What a batch came to",
    "what is given is watched in place of a part",
    "At least this share of the epochs, the last ones, distorts half as far: what will be read is not distorted.",
    "Take the run for this process, where the system has locks, and sweep up after one that was killed.",
    "Know what has happened so far, as if the watchdog had been there.",
    "Of a class: more is not a name.",
    "Asked more than once:",
    "For those who didn't ask to be told.",
    "Stir 64 bits so that each bit of the answer hangs on each bit of the question (one to one).",
    "A reader that has had enough ends it without a word.",
    "What is made small.",
    "Pull of the weights towards zero.",
    "What the hidden units do with their sum.",
    "All that is random follows from it.",
    "No talk and no progress on stderr.",
    "The gate: how much may be asked at once, so that training keeps its pace whatever the crowd.",
    "Counts the trainings that were begun: weights of another one may be of another shape.",
    "Without a label the network is not training: nobody trains where there is no label",
    "`compare`: is the difference more than luck?",
]
#: Sentences of documentation, tables and messages.
PROSE = [
    "A neural network written out by hand, in NumPy, that reads handwriting.",
    "take its checks along with your assignment",
    "each formula beside its real numbers",
    "go on where it stopped, to the very bits",
    "three networks that read together: as a rule fewer mistakes than any of them",
    "What needs more packages says which extra to install",
    "`test` and `dev` are for those who work on byhand",
    "the time is that of a part of the training, measured by itself, times the whole",
    "byhand is as fast | 23.86 ×",
    "of the products' limit",
    "what was not reached",
    "A test holds the page and the machine together to 10⁻¹².",
    "whom we learned from is in ACKNOWLEDGEMENTS",
    "until all is lost",
    "a careful rate",
    "a daring one",
    "Taking a network home",
    "the command says on stderr how near it is",
    "it lies beside the model",
    "and a file that is there already is left alone",
    "At home in the ecosystem",
    "So as right within what twelve seeds can tell, and faster.",
    "what is held still and what is searched",
    "A process that dies costs what it had in hand",
    "What is not believed",
    "talk is on stderr",
    "How a figure is made",
    "nobody is fast by doing less",
    "Nothing for nobody. No derivative by the pixels is computed",
    "What sees through windows errs elsewhere. Some 22 of these 10,000 all of them misread",
    "It listens on loopback only, asks nobody else",
    "An answer may be overtaken by an event: each tells its moment.",
    "where they fit both, what is right decides",
    "where one of yours is known to be wrong, the other way round. Right one way is right.",
    "It leaves with 1",
    "what is not written yet is not wrong",
    "`start` may be typed twice",
    "A reader that has had enough",
    "ends the command without a word",
    "how far luck reaches with so many pictures",
    "What is taken for what",
    "Does it know when it doesn't know?",
    "How to do it again",
    "How far a step goes.",
    "The rule that makes a step of a gradient.",
    "Train on the first so many images only.",
    "Without it, what is there: full MNIST if it is found or can be downloaded",
    "must be a data set's name or a path, there is neither",
    "got Digits, which are two: take its .train",
    "a recipe has …; got lr",
    "a space knows",
    "no picture there",
    "not as before, so the bits may differ",
    "on 1,000 images never seen",
    "kept in the cache: fruit is its name from now on",
    "which is on no page: no points for it",
]


def test_no_file_has_banned_wording():
    paths = [ROOT / name for name in check_language.PATHS]
    assert [hit for path in check_language.files(paths) for hit in check_language.hits(path)] == []


@pytest.mark.parametrize("sentence", DOCSTRINGS)
def test_an_old_sentence_is_found_in_a_docstring(sentence, tmp_path):
    (path := tmp_path / "module.py").write_text(f'def f():\n    """{sentence}"""\n', "utf-8")
    assert list(check_language.hits(path))


@pytest.mark.parametrize("sentence", DOCSTRINGS + PROSE)
def test_an_old_sentence_is_found_in_prose(sentence, tmp_path):
    (path := tmp_path / "page.md").write_text(f"# Page\n\nA paragraph.\n\n{sentence}\n", "utf-8")
    assert list(check_language.hits(path))


def test_plain_wording_is_accepted(tmp_path):
    (path := tmp_path / "module.py").write_text(
        'def f():\n    """Return the gradient."""\n    # Zero means no limit.\n', "utf-8"
    )
    assert not list(check_language.hits(path))


def sentences(path):
    """Return the number of words of each sentence of a page, without its code, tables and headings."""
    text = re.sub(r"```.*?```|<!--.*?-->|^(    |\||#).*?$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`", "code", text)
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n|\n\s*[-*] |\n\d+\. ", text))
    counts = (len(one.split()) for part in paragraphs for one in re.split(r"(?<=[.!?:;])\s+", part))
    return [count for count in counts if count > 2]


def test_no_sentence_of_the_readme_is_longer_than_30_words():
    assert max(sentences(ROOT / "README.md")) <= 30


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/book/*.md")]), ids=lambda path: path.stem
)
def test_sentences_of_the_documentation_have_at_most_18_words_on_average(path):
    counts = sentences(path)
    assert sum(counts) / max(len(counts), 1) <= 18


def test_the_name_of_a_test_has_at_most_twelve_words():
    names = (
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    )
    assert [name for name in names if name.count("_") > 12] == []
