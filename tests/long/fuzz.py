"""Coverage-guided fuzzing of every reader of a file or a request: `python tests/long/fuzz.py [READER …] [--seconds N]`.

Each reader starts from the files that the tests write. For any input up to a megabyte it must return data, or raise one
`ByhandError` of printable text, within five seconds of processor time and 256 MB. Each reader runs in a process of its
own. An input that fails is kept in `crash-READER-…` in the working folder; add a small one to the test of its format,
or to `tests/test_schema.py`. Needs the extra `fuzz` (atheris), in an environment of its own, and Linux.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

MOST_SECONDS, MOST_BYTES, LARGEST = 5.0, 256 << 20, 1_000_000


def in_file(read, name):
    """Return a function that writes its bytes to a file of that name, and reads it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm"))
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)

    def target(content):
        path.write_bytes(content)
        read(path)

    return target


def data_set(name):
    """Return a function that reads its bytes as a data set in a file of that name."""
    from byhand.data.formats.detect import detect

    def read(path):
        found = detect(path)
        if found is not None:
            found.read()

    return in_file(read, name)


def readers():  # noqa: PLR0915 - a table
    """Return name → (a function that makes the reader, a function that returns the contents of valid files)."""
    from helpers import data_files, model_file_mutations

    def written(write):
        def contents():
            with tempfile.TemporaryDirectory() as folder:
                path = write(Path(folder))
                return [file.read_bytes() for file in ([path] if path.is_file() else sorted(path.rglob("*.*")))]

        return contents

    def run_reader(name, file):
        return lambda: in_file(model_file_mutations.READERS[name][1](), file)

    def space_reader():
        from byhand.distributed.space import Space

        return in_file(Space.read, "space.toml")

    def sweep_reader():
        from byhand.distributed.space import Space
        from byhand.distributed.sweep import Folder

        return in_file(lambda path: Space.from_config(Folder(path.parent).config()["space"]).first(), "sweep.json")

    def trial_reader():
        from byhand.distributed.sweep import Folder

        return in_file(lambda path: [str(trial) for trial in Folder(path.parents[1]).trials()], "trials/0000.json")

    def notebook_reader():
        from byhand.course.grading.importing import import_notebook
        from byhand.course.notebooks import progress
        from byhand.errors import ByhandError

        def read(path):
            with contextlib.suppress(ByhandError):
                progress(path)
            import_notebook(path)

        return in_file(read, "a.ipynb")

    def python_reader():
        from byhand.course.notebooks import progress

        return in_file(progress, "a.py")

    def picture_reader():
        from byhand.data.handwriting import normalize, read_photo

        return lambda content: normalize(read_photo(content))

    def added_reader():
        from byhand.play.storage import kept_in
        from byhand.training.runs import Run

        return in_file(lambda path: kept_in(Run(path.parent), None), "added.npz")

    def manifest_reader():
        from byhand.data.store import load

        return in_file(lambda path: load(path.parent), "manifest.json")

    def body_reader():
        from starlette.exceptions import HTTPException
        from starlette.requests import Request

        from byhand.play.requests import fields_of, picture_of
        from byhand.play.setup import Setup

        def read(content):
            async def receive():
                return {"type": "http.request", "body": content, "more_body": False}

            scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
            names = [*Setup().config(), "pixels", "label", "index", "action"]
            with contextlib.suppress(HTTPException):
                fields = asyncio.run(fields_of(Request(scope, receive), *names))
                if "pixels" in fields:
                    picture_of(fields["pixels"], (28, 28))
                Setup.from_config({name: one for name, one in fields.items() if name in Setup().config()})

        return read

    def header_reader():
        from byhand.play.requests import Authentication

        door = Authentication(None, port=8765, token="secret")  # type: ignore[arg-type]

        def read(content):
            lines = [line.partition(b": ") for line in content.split(b"\n")]
            headers = [(name.lower(), value) for name, _, value in lines]
            scope = {"type": "http", "method": "GET", "path": "/api/state", "query_string": content, "headers": headers}
            assert door.rejection(scope) is not None or b"secret" in content

        return read

    def message_reader():
        from io import BytesIO

        from byhand.course.sandbox import BrokenMessageError, receive

        def read(content):
            with contextlib.suppress(BrokenMessageError, EOFError):
                receive(BytesIO(content))

        return read

    def mark_reader():
        from byhand.course.grading import Mark
        from byhand.schema import json_value

        return lambda content: Mark.from_dict(json_value(content))

    def checks_reader():
        from byhand.course.grading.checks import read_checks

        return in_file(read_checks, "checks.toml")

    golden = Path(__file__).parents[1] / "golden" / "version-before"

    def file_of(*parts):
        return lambda: [(golden.joinpath(*parts)).read_bytes()]

    space = b'preset = "digits"\n[fixed]\nepochs = 3\n[search]\nlearning_rate = { low = 0.1, high = 0.5, log = true }\n'
    space += b'hidden = { low = 64, high = 512, step = 64 }\noptimizer = { choices = ["momentum", "adam"] }\n'
    body = json.dumps({"layers": [16], "maps": "8@3/1", "learning_rate": 0.1, "augment": "default"}).encode()
    mark = {"student": "a", "file": "a.py", "digest": "0", "checks": "1", "state": "marked", "items": []}
    mark["items"] = [{"name": "relu", "points": 1.0, "of": 2, "status": "right", "words": ["w"]}]
    notebook = {"cells": [{"cell_type": "code", "source": ["def sigmoid(Z):\n", "    return 1"]}], "metadata": {}}
    header = b"host: 127.0.0.1:8765\ncookie: byhand-8765=x; a=b\norigin: http://127.0.0.1:8765\nx-byhand-token: y"
    return {
        "model": (run_reader("model", "model.safetensors"), written(model_file_mutations.write_model)),
        "checkpoint": (run_reader("checkpoint", "a.safetensors"), written(model_file_mutations.write_checkpoint)),
        "config": (run_reader("config", "config.json"), written(model_file_mutations.write_config)),
        "records": (run_reader("records", "metrics.jsonl"), written(model_file_mutations.write_records)),
        "sweep": (sweep_reader, file_of("sweep", "sweep.json")),
        "trial": (trial_reader, file_of("sweep", "trials", "0000.json")),
        "space": (space_reader, lambda: [space]),
        "checks": (checks_reader, lambda: [b'page = "l_layer"\nseed = 3\n[points]\nrelu = 2\n[names]\nrelu = "r"\n']),
        "added": (added_reader, file_of("playground", "added.npz")),
        "manifest": (manifest_reader, lambda: [b'{"version": 1, "name": "a", "sources": [], "parts": {}}']),
        "notebook": (notebook_reader, lambda: [json.dumps(notebook).encode()]),
        "python": (python_reader, lambda: [b"# a\ndef sigmoid(Z):\n    %time x = 1\n    return 1 / (1 + Z)\n"]),
        "mark": (mark_reader, lambda: [json.dumps(mark).encode()]),
        "message": (message_reader, lambda: [b"\0\0\0\x12\0\0\0\x04" + b'{"a":["<f4",[],4]}' + b"0000"]),
        "body": (body_reader, lambda: [body, b'{"pixels": "AAAA", "label": 1}']),
        "header": (header_reader, lambda: [header]),
        "picture": (picture_reader, written(data_files.write_pictures)),
        "csv": (lambda: data_set("train.csv"), written(data_files.write_csv_with_header)),
        "pickle": (lambda: data_set("mnist.pkl"), written(data_files.write_pickle)),
        "npz": (lambda: data_set("mnist.npz"), written(data_files.write_npz)),
        "idx": (lambda: data_set("train-images-idx3-ubyte"), written(data_files.write_idx)),
    }


def fuzz(name, seconds):
    """Fuzz one reader until the time is over or an input fails."""
    import atheris

    with atheris.instrument_imports(include=["byhand", "zipfile", "json", "tomllib"]):
        make, contents = readers()[name]
        from byhand.errors import ByhandError

        read = make()
    corpus = Path(tempfile.mkdtemp(prefix=f"corpus-{name}-"))
    for number, content in enumerate(contents()):
        (corpus / str(number)).write_bytes(content)
        with contextlib.suppress(ByhandError):
            read(content)
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def target(content):
        began = time.process_time()
        try:
            read(content)
        except ByhandError as error:
            message = str(error)
        else:
            message = ""
        assert message.isprintable(), repr(message)
        assert time.process_time() - began < MOST_SECONDS
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - floor < MOST_BYTES

    limits = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-rss_limit_mb=0", "-timeout=120"]
    kept = [f"-artifact_prefix=crash-{name}-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *limits, *kept], target)
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--one", action="store_true")
    given = parser.parse_args()
    if given.one:
        return fuzz(given.readers[0], given.seconds)
    failed = []
    for name in given.readers or readers():
        command = [sys.executable, __file__, name, "--one", "--seconds", str(given.seconds)]
        process = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
        runs = [line for line in process.stderr.splitlines() if "number_of_executed_units" in line]
        count = runs[-1].split()[-1] if runs else "no"
        print(f"{name}: {count} inputs, {'FAILED' if process.returncode else 'ok'}", flush=True)
        if process.returncode:
            print(process.stdout[-1500:] + process.stderr[-2500:], flush=True)
            failed.append(name)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
