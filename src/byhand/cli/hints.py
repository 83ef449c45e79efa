"""Usage errors as one line that says what to type."""

import os
import re
import shlex
import sys
from pathlib import Path

import click

from byhand.errors import UsageError
from byhand.text import closest, number_meant

#: The dashes of word processors, and their quotation marks.
DASHES, QUOTES = "-–—−", "“”‘’„«»"
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
#: Options of other programs.
OPTIONS = {
    **dict.fromkeys(("layers", "sizes"), "--hidden 128,64, without the inputs and the classes"),
    **dict.fromkeys(("units", "neurons", "hidden-layers", "hidden-size", "width"), "--hidden"),
    **dict.fromkeys(("out", "output", "output-dir", "save", "dir", "folder", "name", "model"), "--run"),
    **dict.fromkeys(("dataset", "train", "input-data", "path"), "--data"),
    **dict.fromkeys(("format", "type"), "--to"),
    **dict.fromkeys(("digit", "index", "image", "number"), "--sample"),
    **dict.fromkeys(("ensemble", "members"), "--committee"),
    **dict.fromkeys(("filters", "conv", "channels"), "--maps"),
    **dict.fromkeys(("random-seed", "random-state"), "--seed"),
    **dict.fromkeys(("no-open", "headless"), "--no-browser"),
    "silent": "--quiet",
    **dict.fromkeys(("continue", "restart", "checkpoint"), "--resume"),
    **dict.fromkeys(("no-augment", "no-augmentation"), "--augment none"),
    "k": "--top",
}
#: Options that are not needed.
NOT_NEEDED = {
    **dict.fromkeys(("resize", "size", "image-size"), "images of several sizes get the most common one"),
    **dict.fromkeys(("classes", "num-classes", "n-classes", "labels"), "the classes are those of the labels"),
}
#: An argument for each kind that a command can ask for.
EXAMPLES = {
    "IMAGE": "digit.png",
    "FILE": "student.py",
    "NAME": "mnist",
    "PLACE": "mnist-5k",
    "PATH": "my-images",
    "DIR": "course",
    "SUBMISSIONS": "submissions",
    "NOTEBOOK": "network.ipynb",
    "--out": "--out marks.csv",
}


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return the visible options of a command by their names."""
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    return {name: each for each in options for name in (*each.opts, *each.secondary_opts)}


def one_line(error: click.UsageError) -> str:
    """Return the message of click, and what to type."""
    command = error.ctx.command if error.ctx else None
    message = error.message if isinstance(error, click.NoSuchOption) else error.format_message()
    message = message.replace("integer range", "integer").replace("float range", "float").rstrip(".")
    return message + (hint(error, error.ctx, command) if error.ctx and command else "")


def hint(error: click.UsageError, context: click.Context, command: click.Command) -> str:
    """Return what to type instead; by default, the command that shows the help."""
    help_of = f"; see {context.command_path} --help"
    if isinstance(error, click.NoSuchOption):
        return option_hint(error.option_name, context, command) or help_of
    if isinstance(error, click.MissingParameter) and error.param:
        rest = "… " if isinstance(error.param, click.Option) else ""
        return f"; for example:  {context.command_path} {rest}{example(error.param)}"
    if isinstance(error, click.BadParameter):
        return value_hint(error) if isinstance(error.param, click.Option) else ""
    if extra := re.search(r"argument.*\((.*)\)", error.message):
        return extra_hint(extra[1].split()[0], command) or help_of
    return "" if "?" in error.message else help_of


def value_hint(error: click.BadParameter) -> str:
    """Return the value that was meant with a wrong value of an option: a choice or a number."""
    assert error.param
    kind = error.param.type
    value = (re.findall(r"'([^']*)' is not", error.message) or re.findall(r"^[\d.]+", error.message) or [""])[0]
    if isinstance(kind, click.Choice):
        near = closest(value.lower(), kind.choices, 0.5)
        return f" (did you mean {near}?)" if near else ""
    meant = number_meant(value, is_integer=kind.name.startswith("integer"))
    if isinstance(kind, click.FloatRange) and kind.max == 1 and meant is not None and 1 < meant <= 100:
        meant /= 100  # a percentage
    elif "is not in the range" in error.message:
        return ""
    return "" if meant is None else f": type {error.param.opts[0]} {meant:g}"


def option_hint(name: str, context: click.Context, command: click.Command) -> str:
    """Return the option or argument that was meant with an unknown option."""
    plain, options = name.lstrip("-").lower().replace("_", "-"), options_of(command)
    near = closest(plain, [each.lstrip("-") for each in options if each.startswith("--")], 0.65)
    if context.parent is None and isinstance(command, click.Group) and not near:
        words = [word for word in sys.argv[1:] if word in command.list_commands(context)]
        first = words[0] if words else "train"
        of_first = command.get_command(context, first)
        is_known = of_first is not None and name in options_of(of_first)
        return f": options follow the command, as in  byhand {first} {name}" if is_known else ""
    for argument in (each for each in command.params if isinstance(each, click.Argument)):
        if plain.upper() in re.findall(r"\w+", argument.make_metavar(context)):
            return f": {plain.upper()} has no option, as in  {context.command_path} {example(argument)}"
    if plain in NOT_NEEDED and "--data" in options:
        return f": {NOT_NEEDED[plain]}; remove {name}"
    meant = OPTIONS.get(plain, "")
    if meant.split(" ")[0] not in options:
        meant = elsewhere(plain, options) or (f"--{near}" if near else "")
    return f". Did you mean {meant}?" if meant else ""


def elsewhere(plain: str, options: dict[str, click.Option]) -> str | None:
    """Return the option for a name of scikit-learn, Keras or PyTorch."""
    from byhand.training.recipe import ELSEWHERE

    near = f"--{ELSEWHERE.get(plain.replace('-', '_'), '')}".replace("_", "-")
    return near if near in options else None


def extra_hint(word: str, command: click.Command) -> str:
    """Return the option that an extra argument is probably the value of."""
    options = options_of(command)
    for name, option in options.items():
        kinds = {"--data": is_data(word), "--space": word.endswith(".toml"), "--config": word.endswith(".toml")}
        if kinds.get(name) or (isinstance(option.type, click.Choice) and word.lower() in option.type.choices):
            return f": did you mean {name} {word}?"
    return ""


def example(param: click.Parameter) -> str:
    """Return an argument that a command could have."""
    from byhand.training.runs import runs_in

    if isinstance(param, click.Option):
        return str(EXAMPLES.get(param.opts[0], f"{param.opts[0]} {param.metavar or ''}"))
    kind: str = re.findall(r"\w+", param.metavar or param.human_readable_name)[0].upper()
    if kind == "RUN":
        count = (param.metavar or "").count("RUN")
        found = [str(run.folder) for run in runs_in()]
        return shlex.join((found if len(found) >= count else ["runs/001", "runs/002"])[-count:])
    return EXAMPLES.get(kind, kind.lower())


def is_data(word: str) -> bool:
    """Return True if this is the name of a known data set."""
    from byhand.data import catalog

    return catalog.known_name(word) is not None


#: Commands of `byhand course` that no other group has.
COURSE = ("start", "next", "practice", "release", "grade", "audit")


def command_for(word: str, group: str) -> str | None:
    """Return the command line for a path or a data set in place of a command."""
    from byhand.data.formats.images import ENDINGS
    from byhand.training.runs import CONFIG, HOME, MODEL

    path, quoted = Path(word), shlex.quote(word)
    if word in COURSE and group not in ("course", "data", "runs"):
        return f"byhand course {word}"
    run = next((each for each in (path, HOME / word) if (each / CONFIG).is_file() or (each / MODEL).is_file()), None)
    if run is not None or path.suffix == Path(MODEL).suffix:
        return f"byhand {'info' if group == 'runs' else 'eval'} {quoted if run is None else shlex.quote(str(run))}"
    if path.suffix.lower() in (".py", ".ipynb"):
        return f"byhand {'course ' if group == 'course' else ''}check {quoted}"
    if path.suffix.lower() in ENDINGS:
        return f"byhand predict {quoted}"
    if is_data(word):
        return f"byhand data get {quoted}" if group == "data" else f"byhand train {quoted}"
    return None


def check_words(command: click.Command, words: list[str]) -> None:
    """Raise an error that says what to type for a mistake that the words themselves show."""
    options = options_of(command)
    known = {name for each in command.params for name in each.opts}  # with the hidden ones
    waiting, before = "", ("", "")  # an option without its value yet; the last option with its value
    for word in words:
        name, equals, value = word.partition("=")
        if waiting and word not in options:
            waiting, before = "", (waiting, word)
        elif waiting or word == "--":
            break
        elif option := options.get(name):
            if option.is_flag and equals:
                raise UsageError(flag_hint(word, name, option, value))
            waiting = "" if equals or option.is_flag else name
            before = name, value
        elif word[:1] not in DASHES or len(word) == 1:
            check_argument(word, *before, options)
            before = "", ""
        elif name not in known and (meant := spelled(name)) in options:
            raise UsageError(f"no option {name}: type {meant}{equals}{value}")
    if waiting:
        option = options[waiting]
        raise UsageError(f"{waiting} needs a value, as in  {waiting} {option.metavar or option.type.name.upper()}")
    after = [word for word in words[words.index("--") :] if word in options] if "--" in words else []
    if after:
        raise UsageError(f"-- ends the options: remove it before {after[0]}")


def check_argument(word: str, before: str, given: str, options: dict[str, click.Option]) -> None:
    """Raise an error for an argument that is part of an option, unless a file has that name."""
    if os.path.exists(word):
        return
    name, equals, value = word.partition("=")
    if word[:1] in QUOTES and (plain := word.strip(QUOTES)):
        raise UsageError(f"{word}: type plain quotation marks: {shlex.quote(plain)}")
    if equals and spelled(name) in options:
        raise UsageError(f"{word}: type {spelled(name)} {value}")
    if (option := options.get(before)) is None:
        return
    if option.is_flag and word.lower() in (*YES, *NO):
        raise UsageError(flag_hint(f"{before} {word}", before, option, word))
    if is_list(option, word):
        raise UsageError(f"{before} {given} {word}: type {before} {given.rstrip(',')},{word.lstrip(',')}")


def spelled(name: str) -> str:
    """Return a name as that of an option: `–-Batch_Size` → `--batch-size`."""
    return "--" + name.strip(DASHES + QUOTES).lower().replace("_", "-")


def is_list(option: click.Option, word: str) -> bool:
    """Return True if a word continues the value of an option whose values have commas."""
    form = r",?\d[\d@/,]*" if "," in (option.metavar or "") else r"[a-z]+=[\d.,]+"
    return bool(re.search(",|SPEC", option.metavar or "")) and re.fullmatch(form, word) is not None


def flag_hint(typed: str, name: str, option: click.Option, value: str) -> str:
    """Return the message for a flag with a value."""
    names = option.secondary_opts if value.lower() in NO else option.opts
    return f"{typed}: {name} has no value: " + (f"type {names[0]}" if names else f"remove {name}")
