"""The playground over a long time and under load: `python tests/long/soak.py [MINUTES] [--crowd]`.

A page is open in headless Chromium for ten minutes of training, with some drawings: growth of the JavaScript heap after
garbage collection, events per second, and the time from the end of a stroke to the prediction. With `--crowd`: 200
clients read events and 16 request explanations without pause: the remaining training speed, and the responses. The
playground is a process of its own, `byhand play`. Results go to benchmarks/results/playground.json. Needs Chromium and
Playwright.

`events_in_the_busiest_second` counts arrivals: events delayed by a busy machine arrive together. The playground itself
writes at most ten events a second.
"""

import asyncio
import collections
import contextlib
import json
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

from byhand.files import write_text

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "playground.json"
HANDS = json.loads((ROOT / "tests" / "golden" / "strokes.json").read_text("utf-8"))
READERS, FLOODERS = 200, 16
#: Seconds of warm-up before the first measurement of the heap, and seconds between two drawings.
WARM, BETWEEN = 60, 20
#: Seconds over which the training speed is measured.
RATED = 8

TIMED = """() => {
  const { pad } = byhand.draw;
  const finished = pad.finished.bind(pad);
  window.times = [];
  pad.finished = () => {
    const began = performance.now();
    finished();
    window.times.push(performance.now() - began);
  };
  const happened = byhand.happened.bind(byhand);
  window.arrivals = [];
  byhand.happened = (event) => {
    window.arrivals.push(performance.now() / 1000);
    happened(event);
  };
}"""


@contextlib.contextmanager
def playing(*arguments):
    """Yield (address, port, token) of a `byhand play` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "byhand", "play", "--no-browser", "--port", "0", "--run", f"{folder}/run"]
        process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
        try:
            found = None
            while not found:
                found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", process.stderr.readline())
            yield found[0], int(found[1]), found[2]
        finally:
            process.terminate()
            process.wait(30)


def soak(minutes: float) -> dict:
    """Measure one page that is open for some minutes of training."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("BYHAND_CHROMIUM") or shutil.which("chromium")
    with playing("--data", "mnist-5k") as (address, _, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        inspector = page.context.new_cdp_session(page)
        troubles = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.evaluate(TIMED)
        page.evaluate("void byhand.control({ action: 'play', pace: 'full' })")

        def heap() -> float:
            for _ in range(2):
                inspector.send("HeapProfiler.collectGarbage")
            return inspector.send("Runtime.getHeapUsage")["usedSize"] / 1e6

        digits = [strokes for hand in HANDS.values() for strokes in hand.values()]
        began, drawn, before, heaps = time.monotonic(), 0, None, []
        while (passed := time.monotonic() - began) < WARM + 60 * minutes:
            draw(page, digits[drawn % len(digits)])
            drawn += 1
            heaps.append(heap())
            count = page.evaluate("window.arrivals.length")
            print(f"{passed:5.0f} s: heap {heaps[-1]:.1f} MB, {count} events", file=sys.stderr, flush=True)
            if before is None and passed >= WARM:
                before = heaps[-1]
                page.evaluate("window.arrivals.length = 0")
            page.wait_for_timeout(1000 * BETWEEN)
        times, arrivals = page.evaluate("[window.times, window.arrivals]")
        after, steps = heap(), page.evaluate("byhand.state.step")
        browser.close()
    seconds = arrivals[-1] - arrivals[0]
    busiest = max(sum(start <= at < start + 1 for at in arrivals[i : i + 40]) for i, start in enumerate(arrivals))
    return {
        "minutes": minutes,
        "steps": steps,
        "heap_grown_mb": round(after - before, 2),
        "heap_mb": round(after, 2),
        "events": len(arrivals),
        "events_a_second": round(len(arrivals) / seconds, 2),
        "events_in_the_busiest_second": busiest,
        "strokes": len(times),
        "stroke_to_answer_ms": {
            "median": round(statistics.median(times), 1),
            "95 %": round(statistics.quantiles(times, n=20)[-1], 1),
        },
        "errors_in_the_page": troubles,
    }


def draw(page, strokes) -> None:
    """Draw one digit with the mouse."""
    page.get_by_role("button", name="Clear", exact=True).click()
    page.locator("canvas.pad").scroll_into_view_if_needed()
    box = page.locator("canvas.pad").bounding_box()
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def crowd() -> dict:
    """Measure training steps per second, alone and with READERS and FLOODERS."""
    with playing("--data", "mnist-5k") as (_, port, token):
        ask(port, token, "control", {"action": "play"})
        time.sleep(2)
        before = rate(port, token)
        results_of_others = multiprocessing.Queue()
        ready, over = multiprocessing.Event(), multiprocessing.Event()
        others = multiprocessing.Process(
            target=lambda: results_of_others.put(asyncio.run(crowded(port, token, ready, over))), daemon=True
        )
        others.start()
        ready.wait(60)
        among = rate(port, token)
        over.set()
        found = results_of_others.get(timeout=60)
        others.join(10)
        after = rate(port, token)
    alone = (before + after) / 2
    return {
        "readers": READERS,
        "clients_that_ask_for_explanations": FLOODERS,
        "steps_a_second": {
            "alone, before and after": [round(before), round(after)],
            "in_the_crowd": round(among),
            "kept": round(among / alone, 2),
        },
        **found,
    }


def ask(port: int, token: str, path: str, body: dict | None = None) -> dict:
    """Send one request to the playground."""
    headers = {"X-Byhand-Token": token, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def rate(port: int, token: str) -> float:
    """Return the training steps per second over RATED seconds."""
    began, before = time.perf_counter(), ask(port, token, "state")["step"]
    time.sleep(RATED)
    return (ask(port, token, "state")["step"] - before) / (time.perf_counter() - began)


async def crowded(port: int, token: str, ready, over) -> dict:
    """Run readers that check that no event is missing, and clients that send requests without pause."""
    head = f"Host: 127.0.0.1:{port}\r\nX-Byhand-Token: {token}\r\n"
    body = json.dumps({"index": 3})
    question = f"POST /api/step HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    statuses, gaps, connected = collections.Counter(), 0, 0

    async def reader() -> None:
        nonlocal gaps, connected
        inward, outward = await asyncio.open_connection("127.0.0.1", port)
        outward.write(f"GET /api/events HTTP/1.1\r\n{head}\r\n".encode())
        connected += 1
        last = None
        while line := await inward.readline():
            if line.startswith(b"id: "):
                number = int(line.rpartition(b"-")[2])
                gaps += last is not None and number != last + 1
                last = number

    async def flooder() -> None:
        inward, outward = await asyncio.open_connection("127.0.0.1", port)
        while True:
            outward.write(f"{question}\r\n{body}".encode())
            answer = await inward.readuntil(b"\r\n\r\n")
            statuses[answer.split()[1].decode()] += 1
            await inward.readexactly(int(re.search(rb"content-length: (\d+)", answer)[1]))

    tasks = [asyncio.create_task(reader()) for _ in range(READERS)]
    tasks += [asyncio.create_task(flooder()) for _ in range(FLOODERS)]
    while connected < READERS or not statuses:
        await asyncio.sleep(0.05)
    ready.set()
    while not over.is_set():
        await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    return {"answered": dict(statuses), "events_missed": gaps}


def main() -> None:
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    if "--crowd" in sys.argv:
        multiprocessing.set_start_method("fork")
        results["crowd"] = crowd()
    else:
        results["soak"] = soak(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
    results["versions"] = {"byhand": version("byhand"), "python": sys.version.split()[0], "cores": os.cpu_count()}
    write_text(RESULTS, json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
