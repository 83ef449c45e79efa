"""The playground beside an attack by another program on the machine: `python tests/long/attack.py [MINUTES]`.

The attackers have no token. They open idle connections, and send requests byte by byte, cookies of quotes, malformed
requests, and floods of requests. They are processes of their own on loopback, and they end by themselves.

Measured are the processor time a second that the server's thread takes from the training, which hardly depends on what
else the machine does; how long the owner's page waits for an answer; the answers that the attackers got; and the
memory. Needs Linux.
"""

import asyncio
import contextlib
import http.client
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

MINUTES = 10.0
#: Connections of each attacker, and seconds that the training is measured alone.
IDLE, ALONE = 1_000, 20
TICKS = os.sysconf("SC_CLK_TCK")


async def visit(port, content, *, every=0.0, wait=0.2, statuses=None):
    """Send a request, at once or a byte at a time, and count the status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in [content] if not every else [content[k : k + 1] for k in range(len(content))]:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every)
        line = await asyncio.wait_for(reader.readline(), wait or None)
        if statuses is not None:
            statuses[line.split()[1].decode() if line else "closed"] += 1
    finally:
        writer.close()


def request(port, *headers, path="/api/state", method="GET"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", ""]).encode()


def attacks(port):
    """Return the attacks: name → (number of connections at once, content of a request, pause between bytes)."""
    rng = random.Random(0)
    noise = [rng.randbytes(200), b"\r\n" * 50, b"GET / HTTP/9.9\r\n\r\n", b"POST /api/step HTTP/1.1\r\n" * 20]
    return {
        "idle": (IDLE, lambda: b"", 0.0),
        "slow": (200, lambda: request(port, "Cookie: " + "a" * 2_000), 0.5),
        "cookies": (8, lambda: request(port, 'Cookie: a="' + '\\"' * rng.choice([6_000, 30_000])), 0.0),
        "malformed": (8, lambda: rng.choice(noise), 0.0),
        "flood": (
            8,
            lambda: request(port, path=rng.choice(["/", "/?token=x", "/page/main.js", "/api/events", "/api/weights"])),
            0.0,
        ),
        "bodies": (8, lambda: request(port, "Content-Length: 999999", path="/api/setup", method="POST"), 0.0),
    }


def attack(name, port, until, results):
    """Run one attack until a time of the monotonic clock."""
    count, content, every = attacks(port)[name]
    statuses = Counter()

    async def one():
        while time.monotonic() < until:
            with contextlib.suppress(OSError, asyncio.TimeoutError, IndexError):
                await visit(port, content(), every=every, wait=5.0, statuses=statuses)
            await asyncio.sleep(0.05)

    async def all_of_them():
        await asyncio.wait([asyncio.ensure_future(one()) for _ in range(count)], timeout=until - time.monotonic() + 5)

    asyncio.run(all_of_them())
    results.put((name, dict(statuses)))


class Owner:
    """The page of the owner, and the process of the server."""

    def __init__(self, process, port, token):
        self.process, self.port = process, port
        self.headers = {"X-Byhand-Token": token, "Content-Type": "application/json"}

    def ask(self, path, **fields):
        """Return the answer, and the seconds that it took."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            body = json.dumps(fields) if fields else None
            connection.request("POST" if fields else "GET", path, body, self.headers)
            answer = json.loads(connection.getresponse().read())
        return answer, time.monotonic() - began

    def measured(self, seconds):
        """Return (processor time of the server a second, the slowest answer, memory in MB) over some seconds."""
        slowest, began = 0.0, time.monotonic()
        before = self.processor_time()
        while time.monotonic() < began + seconds:
            time.sleep(1)
            slowest = max(slowest, self.ask("/api/state")[1])
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
        return (self.processor_time() - before) / (time.monotonic() - began), slowest, memory

    def processor_time(self):
        """Return the processor time of the server's thread in seconds."""
        place = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/stat")
        fields = place.read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "byhand", "play", "--no-browser", "--port", "0", "--run", f"{folder}/run"]
        process = subprocess.Popen([*command, "--data", "mnist-5k"], stderr=subprocess.PIPE, text=True)
        try:
            found = None
            while not found:
                found = re.search(r"127\.0\.0\.1:(\d+)/\?token=(\S+)", process.stderr.readline())
            owner = Owner(process, int(found[1]), found[2])
            owner.ask("/api/setup", layers=[256])
            owner.ask("/api/control", action="play")
            owner.measured(3)
            alone = owner.measured(min(ALONE, 20 * minutes))
            print(
                f"alone: the server takes {alone[0]:.1%} of a core, slowest answer {alone[1]:.2f} s, {alone[2]:.0f} MB"
            )
            beside(owner, minutes)
        finally:
            process.terminate()
            process.wait(60)


def beside(owner, minutes):
    """Attack for some minutes, and print what the owner saw in each part of the time."""
    results = multiprocessing.Queue()
    until = time.monotonic() + 60 * minutes
    names = [*attacks(owner.port)]
    attackers = [multiprocessing.Process(target=attack, args=(name, owner.port, until, results)) for name in names]
    for attacker in attackers:
        attacker.start()
    parts = []
    while time.monotonic() < until - 1:
        share, slowest, memory = owner.measured(min(20, max(1, until - time.monotonic())))
        parts.append((share, slowest, memory))
        print(
            f"attacked: the server takes {share:.1%} of a core, slowest answer {slowest:.2f} s, {memory:.0f} MB",
            flush=True,
        )
    for _ in names:
        print(*results.get(timeout=60))
    for attacker in attackers:
        attacker.join(10)
        attacker.kill()
    admitted = owner.ask("/api/state")[0]["status"]
    print(f"the training is {admitted}; the server took {max(part[0] for part in parts):.1%} of a core at most")


if __name__ == "__main__":
    main()
