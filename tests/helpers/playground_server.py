"""A playground that is served for tests: a thread and port of its own, and a plain client.

The client is the standard library's, so that a test controls every header.
"""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio._backends._asyncio

import byhand.model
from byhand.data import load
from byhand.play.playground import Playground
from byhand.play.requests import Authentication
from byhand.play.server import Handlers, http_server, listening
from byhand.play.setup import Setup
from byhand.play.storage import RunStorage
from byhand.play.thread import TrainingThread
from byhand.training.runs import Run
from helpers.waiting import until

TOKEN = "a-token-for-tests"
#: Loaded here, since pytest compiles the modules of its plugin anyio, which fails now and then in the server's thread.
anyio.create_task_group  # noqa: B018


def a_playground(folder=None, **setup: Any) -> Playground:
    """Return a playground with the shipped model, the bundled sample, and a network that trains quickly."""
    chosen = Setup(**{"layers": (16,), **setup})
    storage = RunStorage(Run(folder)) if folder is not None else None
    return Playground(byhand.model.shipped_model(), "the shipped model", load("mnist-5k"), chosen, storage)


class Served:
    """A running server, and requests to it."""

    def __init__(self, playground: Playground, *, port: int = 0, token: str = TOKEN) -> None:
        self.playground = playground
        self.training = TrainingThread(playground)
        self.training.pace = "full"
        self.door = listening(port)
        self.port = self.door.getsockname()[1]
        self.handlers = Handlers(self.training)
        app = Authentication(self.handlers.app(), port=self.port, token=token)
        self.uvicorn = http_server(app)
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.door]}, daemon=True)
        self.thread.start()
        until(lambda: self.uvicorn.started)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"

    def close(self) -> None:
        self.uvicorn.should_exit = True
        self.thread.join(10)
        self.training.close()
        self.door.close()

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, Any]:
        """Return status, body (parsed if JSON) and headers. Any header can be given; None removes it."""
        sent = {"Host": f"127.0.0.1:{self.port}", "X-Byhand-Token": TOKEN}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None and "Transfer-Encoding" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kind = answer.headers.get("content-type", "")
        return answer.status, json.loads(content) if "json" in kind else content, answer.headers

    def get(self, path: str) -> Any:
        status, body, _ = self.call("GET", path)
        assert status == 200, body
        return body

    def post(self, path: str, **fields: Any) -> Any:
        status, body, _ = self.call("POST", path, json.dumps(fields).encode())
        assert status == 200, body
        return body

    def refused(self, path: str, *, status: int = 400, **fields: Any) -> str:
        got, body, _ = self.call("POST", path, json.dumps(fields).encode())
        assert got == status, body
        assert set(body) == {"error"}
        return body["error"]

    def wait(self, status: str) -> dict[str, Any]:
        """Return the state, once it has that status."""
        return until(lambda: state if (state := self.get("/api/state"))["status"] == status else None)

    @contextlib.contextmanager
    def events(self, after: str | None = None, header: str | None = None) -> Iterator["Events"]:
        events = Events(self.port, after, header)
        try:
            yield events
        finally:
            events.close()


class Events:
    """One reader of the event stream."""

    def __init__(self, port: int, after: str | None, header: str | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        query = f"?after={after}" if after else ""
        extra = f"Last-Event-ID: {header}\r\n" if header else ""
        self.socket.sendall(
            f"GET /api/events{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"X-Byhand-Token: {TOKEN}\r\n{extra}\r\n".encode()
        )
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value

    def next(self) -> tuple[str | None, dict[str, Any] | str]:
        """Return (id, data) of the next event, or (None, text) of a comment."""
        event_id, data = None, None
        while True:
            line = self.line()
            if line.startswith("id: "):
                event_id = line[4:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line.startswith(":"):
                return None, line
            elif line == "" and data is not None:
                return event_id, data

    def line(self) -> str:
        """Return a line of the stream, decoded from HTTP chunks."""
        if not getattr(self, "lines", None):
            size = int(self.file.readline(), 16)
            assert size > 0, "the stream ended"
            self.lines = self.file.read(size).decode().split("\n")[:-1]
            self.file.readline()
        return self.lines.pop(0)

    def close(self) -> None:
        self.file.close()
        self.socket.close()
