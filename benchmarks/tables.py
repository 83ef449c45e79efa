"""Tables: stored results as Markdown, written between markers in the README and the documentation.

<!-- bench: full-batch -->
… the text here is replaced …
<!-- /bench -->
"""

import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import results
from byhand.errors import UsageError
from byhand.files import write_text

MARK = re.compile(r"(<!-- bench: (?P<suite>[\w-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def fill(document: Path, folder: Path) -> list[str]:
    """Replace the text between the markers; return the suites without results, whose tables stay as they are."""
    missing = []

    def table(match: re.Match[str]) -> str:
        if match["suite"] == "scoreboard":
            made = scoreboard({suite: results.read(folder, suite) for suite in ("accuracy", "target", "mini-batches")})
            return f"{match[1]}{made}\n{match[3]}"
        result = results.read(folder, match["suite"])
        if result is None or match["suite"] not in TABLES:
            missing.append(match["suite"])
            return match[0]
        try:
            made = TABLES[match["suite"]](result["figures"]) + made_on(result["machine"])
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"{folder / match['suite']}.json must be measured again: another version wrote it ({error})"
            ) from error
        return f"{match[1]}{made}\n{match[3]}"

    text = document.read_text("utf-8")
    filled = MARK.sub(table, text)
    if filled != text:
        write_text(document, filled)
    return missing


def made_on(machine: dict[str, Any]) -> str:
    """Line below a table: the machine and the versions."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if name != "byhand")
    system = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}"
    return f"\n{system}, {versions}; {machine['blas']}."


def ratio(spread: dict[str, float]) -> str:
    """Format a ratio as median (least–greatest): 1.87× (1.80–1.95)"""
    return f"{spread['median']:.2f}× ({spread['least']:.2f}–{spread['greatest']:.2f})"


def rows(head: list[str], body: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def training(figures: list[dict[str, Any]]) -> str:
    """One line for each work: byhand's time, its overhead if it was measured, its speedup over each peer.

    The last column is byhand's throughput in matrix products, as a percentage of a large `sgemm`.
    """
    peers = list(figures[0]["times_as_fast_as"])
    has_overhead = all("overhead" in row for row in figures)
    body = []
    for row in figures:
        seconds = row["seconds_an_epoch"]["byhand"]["median"]
        time = f"{seconds:.3f} s" if row["batch"] else f"{1e3 * seconds:.2f} ms"
        ratios = [ratio(row["overhead"])] if has_overhead else []
        ratios += [ratio(row["times_as_fast_as"][peer]) for peer in peers]
        body.append([row["name"], time, *ratios, f"{row['share_of_sgemm']['median']:.0%}"])
    times = "time per epoch" if figures[0]["batch"] else "time per iteration"
    ratios = (["overhead"] if has_overhead else []) + [f"speedup vs {peer}" for peer in peers]
    return rows(["work", times, *ratios, "% of peak GEMM throughput"], body)


def versions(figures: dict[str, Any]) -> str:
    """One line for each work: the time of a step before and after, the speedup, and the overhead over flat NumPy."""
    body = []
    for row in figures["works"]:
        times = [f"{1e3 * row['seconds_a_step'][name]['median']:.3f} ms" for name in ("before", "after")]
        overhead = [ratio(row["overhead"][name]) for name in ("before", "after")] if row["batch"] else ["", ""]
        body.append([row["name"], *times, ratio(row["speedup"]), *overhead])
    whole = figures["whole_process"]
    times = [f"{whole['seconds'][name]['median']:.2f} s" for name in ("before", "after")]
    body.append(["whole process to 98 %", *times, ratio(whole["speedup"]), "", ""])
    return rows(["a step of", "before", "after", "speedup", "overhead before", "overhead after"], body)


def target(figures: dict[str, Any]) -> str:
    """One line for each contestant: time, accuracy, byhand's speedup over it."""
    body = []
    for name, seconds in figures["seconds"].items():
        against = figures["times_as_fast_as"].get(name)
        accuracy = figures["accuracy"][name]
        reached = accuracy["median"] >= figures["target"]
        body.append(
            [
                name,
                f"{seconds['median']:.2f} s",
                f"{accuracy['median']:.2%}" + ("" if reached else " (target not reached)"),
                ratio(against) if against else "",
            ]
        )
    return rows(["whole process", "time", "test accuracy", "speedup"], body)


def reading(figures: dict[str, Any]) -> str:
    """One line for each contestant: time from bytes and from floats, and byhand's speedup over it."""
    works = figures["works"]
    body = []
    for name in next(iter(works.values()))["milliseconds"]:
        line = [name]
        for work in works.values():
            against = work["times_as_fast_as"].get(name)
            line += [f"{work['milliseconds'][name]['median']:.1f} ms", ratio(against) if against else ""]
        body.append(line)
    heads = [head for work in works for head in (f"time {work}", "speedup")]
    return rows([f"{figures['images']:,} images", *heads], body)


def memory(figures: dict[str, Any]) -> str:
    body = [[name, f"{row['peak'] / 1e6:,.0f} MB"] for name, row in figures["bytes"].items()]
    return rows(["images in one batch", "peak memory"], body)


def growth(figures: dict[str, Any]) -> str:
    body = [
        [images, f"{each['median']:.2f} µs", ratio(figures["against_60,000"][images])]
        for images, each in figures["microseconds_an_image"].items()
    ]
    held = figures["anonymous_bytes_mapped"]["median"] / 1e6
    table = rows(["images", "time per image and epoch", "relative to 60,000 images"], body)
    note = f"Training on the million images, a memory-mapped file of 784 MB, took {held:.0f} MB of anonymous memory."
    return f"{table}\n{note}\n"


def startup(figures: dict[str, Any]) -> str:
    body = [
        [f"`{name}`", f"{figures['milliseconds'][name]['median']:.0f} ms", f"{more['median']:.0f} ms"]
        for name, more in figures["more_than_empty"].items()
    ]
    return rows(["process", "time", "above `python -c pass`"], body)


def busy(figures: list[dict[str, Any]]) -> str:
    """One line for each process and number of busy loops: the time in each setting, and the processor time."""
    settings = list(figures[0]["seconds"])
    body = []
    for row in figures:
        times = [f"{row['seconds'][name]['median']:.2f} s" if name in row["seconds"] else "" for name in settings]
        default, best = (f"{row['processor_seconds'][name]['median']:.2f} s" for name in (settings[0], row["best"]))
        ratios = ratio(row["default_against_best"])
        body.append([f"`{row['process']}`", str(row["busy_loops"]), *times, ratios, default, best])
    names = [settings[0], *(f"`{name}`" for name in settings[1:])]
    return rows(["process", "busy loops", *names, "default / best", "CPU, default", "CPU, best"], body)


def training_time(row: dict[str, Any]) -> str:
    """Format the median training time of a preset, extrapolated from a timed portion if only that was run."""
    seconds = row["pace"]["whole_training_seconds"] if "pace" in row else statistics.median(row["training_seconds"])
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def accuracy(figures: dict[str, Any]) -> str:
    """One line per preset: time, each seed's accuracy, their mean, the mean with shifts, and that of the ensemble."""
    body = []
    for name, row in figures["presets"].items():
        traits = [row["network"], *(["deskewed"] if row["preparation"]["deskew"] else [])]
        traits += ["augmented"] if row["recipe"]["augment"] != "none" else []
        shares = ", ".join(f"{100 * share:.2f}" for share in row["accuracy"])
        ensemble = f"{100 * row['committee_of_all']:.2f} %" if row["committee_of_all"] is not None else ""
        mean, shifted = (f"{100 * statistics.fmean(row[of]):.2f} %" for of in ("accuracy", "accuracy_shifted"))
        body.append(
            [f"`{name}`", ", ".join(traits), training_time(row), f"{shares} %", f"**{mean}**", shifted, ensemble]
        )
    heads = ["preset", "network", "training time", "test accuracy per seed", "mean", "with shifts", "ensemble"]
    return rows(heads, body)


def robustness(figures: dict[str, Any]) -> str:
    """One line per variant, one column per preset: the accuracy, and its difference from the plain images."""
    presets = figures["presets"]
    variants = list(next(iter(presets.values()))["accuracy"])
    body = []
    for variant in variants:
        cells = []
        for row in presets.values():
            share, plain = row["accuracy"][variant], row["accuracy"][variants[0]]
            cells.append(
                f"{100 * share:.2f} %" + (f" ({100 * (share - plain):+.2f})" if variant != variants[0] else "")
            )
        body.append([variant, *cells])
    for name in next(iter(presets.values()))["from_elsewhere"]:
        body.append([name, *(f"{100 * row['from_elsewhere'][name]:.2f} %" for row in presets.values())])
    return rows(["test images", *(f"`{name}`" for name in presets)], body)


def scoreboard(stored: dict[str, Any]) -> str:
    """Summarize accuracy and speed in eight rows: the presets, the time to 98 %, and three kinds of mini-batches."""
    body = []
    for name, row in stored["accuracy"]["figures"]["presets"].items():
        body.append([f"preset `{name}`", training_time(row), f"{100 * statistics.fmean(row['accuracy']):.2f} %"])
    figures = stored["target"]["figures"]
    against = figures["times_as_fast_as"]
    peers = ["PyTorch", "JAX", "scikit-learn"]
    speedups = [f"{against[f'{peer}, our recipe']['median']:.2f}×" for peer in peers]
    reached = f"{100 * figures['accuracy']['byhand']['median']:.2f} %"
    body.append(["whole process to 98 %", f"{figures['seconds']['byhand']['median']:.2f} s", reached, *speedups])
    for row in stored["mini-batches"]["figures"]:
        if row["name"] in SCOREBOARD_WORKS:
            speedups = [f"{row['times_as_fast_as'][peer]['median']:.2f}×" for peer in peers]
            body.append(
                [f"epoch, {row['name']}", f"{row['seconds_an_epoch']['byhand']['median']:.2f} s", "", *speedups]
            )
    heads = ["", "time", "test accuracy", *(f"speedup vs {peer}" for peer in peers)]
    machines = [f"{result['machine']['processor']}, {result['machine']['cores']} cores" for result in stored.values()]
    note = f"\nPresets: {machines[0]}. Whole process: {machines[1]}. Epochs: {machines[2]}."
    return rows(heads, [line + [""] * (len(heads) - len(line)) for line in body]) + note


#: The network, batch size and optimizer of the three epochs on the scoreboard.
SCOREBOARD_WORKS = ("[784, 128, 10], 32, SGD", "[784, 128, 10], 128, Adam", "[784, 800, 800, 10], 256, Adam")


def recipes(figures: dict[str, list[float]]) -> str:
    """One line per recipe: the mean error on the held-out images, in percent, and that of each seed."""
    body = [
        [name, f"{statistics.fmean(errors):.2f} %", ", ".join(f"{each:.2f}" for each in errors)]
        for name, errors in figures.items()
    ]
    return rows(["recipe", "error", "each seed"], body)


TABLES: dict[str, Callable[[Any], str]] = {
    "accuracy": accuracy,
    "robustness": robustness,
    "recipes": recipes,
    "full-batch": training,
    "mini-batches": training,
    "versions": versions,
    "target": target,
    "reading": reading,
    "memory": memory,
    "growth": growth,
    "startup": startup,
    "busy": busy,
}
