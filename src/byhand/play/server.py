"""The server: routes, events, and the process.

Access to the playground is a job of the training thread. Longer work uses a copy of the model in another thread, within
the concurrency limit.
"""

import asyncio
import contextlib
import json
import random
import secrets
import signal
import socket
import tempfile
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from byhand.checks import integer
from byhand.errors import ByhandError, UsageError
from byhand.export import exporter, sample_for
from byhand.model import Model
from byhand.page import FILES, model_weights, source
from byhand.play import panels
from byhand.play.playground import Playground
from byhand.play.requests import (
    Authentication,
    ConcurrencyLimit,
    fields_of,
    picture_of,
    query_integer,
    read_upload,
    uploaded,
)
from byhand.play.setup import EPOCHS, Setup, fits, threads
from byhand.play.thread import OverloadedError, TrainingThread
from byhand.report import Evaluation, evaluate
from byhand.threads import blas_threads

if TYPE_CHECKING:
    import uvicorn

Result = TypeVar("Result")

PORT = 8765
#: Minimum seconds between events.
PACE = 0.1
MAX_READERS = 300
#: Seconds of silence before a keep-alive comment.
PING = 15.0
#: Number of events kept for pages that reconnect: over three minutes of training.
KEPT = 2_000
#: Idle time after a long request during training, as a multiple of its duration: Python runs one thread at a time.
REST = 6
#: Seconds before a response 503, to slow down clients that retry at once.
BUSY_DELAY = 0.25
CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
DOWNLOADS = {"html": "text/html", "onnx": "application/octet-stream", "npz": "application/octet-stream"}


# ---- events


class EventLog:
    """Server-sent events with ids `launch-number`, so that a page can reconnect at its last event.

    If events after that one are no longer kept, the page receives an event `reset` and fetches the whole state.
    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self) -> None:
        self.launch = secrets.token_hex(3)
        self.events: deque[str] = deque(maxlen=KEPT)
        self.count = 0
        self.readers = 0
        self._written = asyncio.Event()

    @property
    def last_id(self) -> str:
        return f"{self.launch}-{self.count}"

    def write(self, event: dict[str, Any]) -> None:
        """Append an event and wake the readers."""
        self.count += 1
        self.events.append(f"id: {self.last_id}\ndata: {json.dumps(event, ensure_ascii=False, allow_nan=False)}\n\n")
        self._written.set()
        self._written = asyncio.Event()

    def number_of(self, event_id: str) -> int | None:
        """Return the number of an id, or None if not all later events are kept."""
        launch, _, number = event_id.rpartition("-")
        if launch != self.launch or not number.isdecimal() or len(number) > 15:
            return None
        return int(number) if self.count - len(self.events) <= int(number) <= self.count else None

    def _since(self, number: int | None) -> str:
        """Return the events after that number, or the event `reset`."""
        first = self.count - len(self.events)
        if number is None or number < first:
            return f'id: {self.last_id}\ndata: {{"reset": true}}\n\n'
        return "".join(islice(self.events, number - first, None))

    async def read(self, after: str | None, ping: float = PING) -> AsyncIterator[str]:
        """Yield the event stream, from the event after that id; without an id, from the next event."""
        number = self.count if after is None else self.number_of(after)
        yield "retry: 1000\n\n"
        while True:
            written = self._written
            if number != self.count:
                text, number = self._since(number), self.count
                yield text
                continue
            try:
                async with asyncio.timeout(ping):
                    await written.wait()
            except TimeoutError:
                yield ": ping\n\n"


class EventStream(StreamingResponse):
    """The response to one reader of the log, which counts the readers."""

    def __init__(self, log: EventLog, after: str | None) -> None:
        super().__init__(log.read(after), media_type="text/event-stream")
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.log.readers += 1  # before the first `await`, so that no two readers take the same place
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.log.readers -= 1


# ---- routes


class Handlers:
    """The handlers of all routes."""

    def __init__(self, thread: TrainingThread) -> None:
        self.thread = thread
        self.events = EventLog()
        self.work = ConcurrencyLimit(2, may_wait=8)
        self.uploads = ConcurrencyLimit(1, may_wait=0)
        self._evaluating = asyncio.Lock()
        #: The version of the model, and its evaluation.
        self._evaluation: tuple[int, Evaluation] | None = None

    def app(self) -> Starlette:
        post = ["POST"]
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/page/{name:path}", self.file),
                Route("/api/state", self.state),
                Route("/api/events", self.event_stream),
                Route("/api/weights", self.weights),
                Route("/api/sample", self.sample),
                Route("/api/unit", self.unit),
                Route("/api/errors", self.errors),
                Route("/api/errors/pictures", self.misread),
                Route("/api/export/{to}", self.export),
                Route("/api/python", self.python),
                Route("/api/control", self.control, methods=post),
                Route("/api/setup", self.setup, methods=post),
                Route("/api/data", self.upload, methods=post),
                Route("/api/added", self.added),
                Route("/api/added", self.add, methods=post),
                Route("/api/read", self.read, methods=post),
                Route("/api/removed", self.remove, methods=post),
                Route("/api/step", self.step, methods=post),
                Route("/api/gradients", self.gradients, methods=post),
            ],
            lifespan=self.lifespan,
            exception_handlers=dict.fromkeys((ByhandError, HTTPException, Exception), self.failed),
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        writing = asyncio.create_task(self.write_events())
        try:
            yield
        finally:
            writing.cancel()

    async def write_events(self) -> None:
        """Write the progress of the training to the event log until canceled."""
        while True:
            await asyncio.sleep(PACE)
            with contextlib.suppress(OverloadedError):
                news = await self.job(lambda _: self.thread.news())
                if news is not None:
                    self.events.write(news)

    async def failed(self, _request: Request, error: Exception) -> Response:
        """Return the response to a request that failed."""
        headers: Any = None
        if isinstance(error, HTTPException):
            status, text, headers = error.status_code, error.detail, error.headers
        elif isinstance(error, OverloadedError):
            await asyncio.sleep(BUSY_DELAY)
            status, text, headers = 503, str(error), {"retry-after": "1"}
        elif isinstance(error, ByhandError):
            status, text = 400, str(error)
        else:
            traceback.print_exception(error)  # a mistake in byhand: for the terminal, the page shows its name only
            status, text = 500, f"internal error: {type(error).__name__}"
        return JSONResponse({"error": text[:300]}, status_code=status, headers=headers)

    # ---- jobs

    async def job(self, job: Callable[[Playground], Result]) -> Result:
        """Run a job on the training thread, between two steps."""
        return await asyncio.wrap_future(self.thread.submit(job))

    async def change(self, change: Callable[[Playground], object]) -> Response:
        """Run a job that changes something; return the state after it."""
        return JSONResponse(await self.job(lambda playground: (change(playground), self.thread.state())[1]))

    def limited(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Return the context manager of the concurrency limit, for longer work."""
        return self.work(rest=REST if self.thread.status == "training" else 0)

    async def on_copy(self, work: Callable[[Model], Result]) -> Result:
        """Use a copy of the model in another thread, within the concurrency limit."""
        async with self.limited():
            _, model = await self.job(Playground.copy)
            return await asyncio.to_thread(work, model)

    # ---- the page

    async def index(self, _request: Request) -> Response:
        return Response(source("playground.html"), media_type="text/html")

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            raise HTTPException(404, "no such file")
        return Response(source(name), media_type=CONTENT_TYPES[name[name.rindex(".") :]])

    async def state(self, _request: Request) -> Response:
        state = await self.job(lambda playground: self.thread.state() | panels.whole_state(playground))
        # Jobs run in order: the log now has every event before this state, and none after it.
        return JSONResponse(state | {"last": self.events.last_id})

    async def event_stream(self, request: Request) -> Response:
        if self.events.readers >= MAX_READERS:
            raise OverloadedError(f"at most {MAX_READERS} pages can be connected")
        after = request.headers.get("last-event-id") or request.query_params.get("after")
        return EventStream(self.events, after)

    async def weights(self, _request: Request) -> Response:
        training, version, weights = await self.job(
            lambda playground: (playground.training_number, playground.version, model_weights(playground.model))
        )
        headers = {"x-training": str(training), "x-version": str(version)}
        return Response(weights.tobytes(), media_type="application/octet-stream", headers=headers)

    # ---- Run, Setup

    async def control(self, request: Request) -> Response:
        fields = await fields_of(request, "action", "stop_at", "pace")
        if fields.get("stop_at") is not None:
            integer("stop_at", fields["stop_at"], 1, EPOCHS)

        def control(_playground: Playground) -> None:
            if "stop_at" in fields:
                self.thread.stop_at = fields["stop_at"]
            if "pace" in fields:
                self.thread.set_pace(fields["pace"])
            if "action" in fields:
                self.thread.control(fields["action"])

        return await self.change(control)

    async def setup(self, request: Request) -> Response:
        fields = await fields_of(request, *Setup().config())
        if not fields:
            raise UsageError("the body must have at least one setting")
        setup = Setup.from_config(fields)
        return await self.change(lambda _: self.thread.begin(setup))

    # ---- Data

    async def upload(self, request: Request) -> Response:
        """Read a data set, make it available, and return what it contains."""
        async with self.uploads():
            with tempfile.TemporaryDirectory(prefix="byhand-") as folder:
                name, path = await uploaded(request, Path(folder))
                digits, left_out = await asyncio.to_thread(read_upload, name, path)
            setup = await self.job(lambda playground: playground.offer(digits))
        return JSONResponse(panels.upload_json(digits, left_out, setup))

    # ---- Draw

    async def add(self, request: Request) -> Response:
        fields = await fields_of(request, "pixels", "label")

        def add(playground: Playground) -> None:
            playground.add(picture_of(fields.get("pixels"), playground.digits.train.shape), fields.get("label"))

        return await self.change(add)

    async def added(self, _request: Request) -> Response:
        return JSONResponse(await self.job(panels.added))

    async def remove(self, request: Request) -> Response:
        number = integer("number", (await fields_of(request, "number")).get("number"), 0)
        return await self.change(lambda playground: playground.remove(number))

    async def read(self, request: Request) -> Response:
        fields = await fields_of(request, "pixels")

        def read(playground: Playground) -> dict[str, Any]:
            return playground.answer(picture_of(fields.get("pixels"), playground.digits.test.shape))

        return JSONResponse(await self.job(read))

    async def sample(self, _request: Request) -> Response:
        test = await self.job(lambda playground: playground.digits.test)
        return JSONResponse(panels.picture_json(test, random.randrange(len(test))))

    # ---- Network, Step, Errors, Share

    async def unit(self, request: Request) -> Response:
        layer, unit = query_integer(request, "layer", 100), query_integer(request, "unit", 10**6)
        data = await self.job(lambda playground: playground.training_data)
        return JSONResponse(await self.on_copy(lambda model: panels.largest_activations(model, data, layer, unit)))

    async def step(self, request: Request) -> Response:
        fields = await fields_of(request, "index", "pixels", "label", "layer", "unit")
        test, setup = await self.job(lambda playground: (playground.digits.test, playground.setup))
        if "pixels" in fields:
            image, label = picture_of(fields["pixels"], test.shape), integer("label", fields.get("label"), 0)
        else:
            image, label = test[integer("index", fields.get("index"), 0, len(test) - 1)]
        unit = None
        if {"layer", "unit"} & set(fields):
            unit = integer("layer", fields.get("layer"), 1), integer("unit", fields.get("unit"), 0)
        return JSONResponse(await self.on_copy(lambda model: panels.one_step(model, image, label, setup, unit)))

    async def gradients(self, request: Request) -> Response:
        fields = await fields_of(request, "pixels", "label")
        shape = await self.job(lambda playground: playground.digits.test.shape)
        image, label = picture_of(fields.get("pixels"), shape), integer("label", fields.get("label"), 0)
        return JSONResponse(await self.on_copy(lambda model: panels.gradients(model, image, label)))

    async def evaluated(self) -> Evaluation:
        """Evaluate the current model on the test set, once per version of it."""
        async with self.limited(), self._evaluating:
            version, model, test = await self.job(lambda playground: (*playground.copy(), playground.digits.test))
            if self._evaluation is None or self._evaluation[0] != version:
                if not fits(model, test):
                    raise UsageError(f"the model must have the size and the classes of the images of {test.name}")
                self._evaluation = version, await asyncio.to_thread(evaluate, model, test)
            return self._evaluation[1]

    async def errors(self, _request: Request) -> Response:
        return JSONResponse(panels.errors(await self.evaluated()))

    async def misread(self, request: Request) -> Response:
        evaluation = self._evaluation[1] if self._evaluation else await self.evaluated()
        label, predicted = (
            query_integer(request, name, len(evaluation.classes)) if name in request.query_params else None
            for name in ("label", "predicted")
        )
        return JSONResponse(panels.misread(evaluation, label, predicted))

    async def export(self, request: Request) -> Response:
        to = request.path_params["to"]
        if to not in DOWNLOADS:
            raise HTTPException(404, "no such export")
        make = exporter(to)
        test = await self.job(lambda playground: playground.digits.test)
        content, _ = await self.on_copy(lambda model: make(model, test if fits(model, test) else sample_for(model)))
        headers = {"content-disposition": f'attachment; filename="digits.{to}"'}
        return Response(content, media_type=DOWNLOADS[to], headers=headers)

    async def python(self, _request: Request) -> Response:
        return JSONResponse({"python": await self.job(Playground.as_python)})


# ---- the process


def listening(port: int | None) -> socket.socket:
    """Return a listening socket on localhost: on that port, else the default one, else any that is free."""
    for number in [PORT, 0] if port is None else [port]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
        except (OSError, OverflowError):
            listener.close()
            continue
        listener.listen(512)
        return listener
    raise UsageError(f"port {port} is in use: omit --port to choose a free one")


def http_server(app: ASGIApp) -> "uvicorn.Server":
    """Return the HTTP server, which limits its connections."""
    import uvicorn

    from byhand.play.connections import Server

    quiet: Any = {"log_level": "critical", "access_log": False}
    return Server(uvicorn.Config(app, ws="none", lifespan="on", timeout_graceful_shutdown=1, **quiet))


def serve(playground: Playground, *, port: int | None, opened: Callable[[str], None]) -> None:
    """Serve the playground until Ctrl-C; call `opened` with its address.

    This installs handlers of SIGTERM and SIGHUP and sets the number of BLAS threads for the whole process: the number
    can't be changed by one thread while another one is in a product.
    """
    listener = listening(port)
    number, token = listener.getsockname()[1], secrets.token_urlsafe(18)
    thread = TrainingThread(playground)
    server = http_server(Authentication(Handlers(thread).app(), port=number, token=token))
    # uvicorn raises the signal again after its shutdown; SIGTERM then raises KeyboardInterrupt like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):  # A closed terminal; uvicorn does not handle it. An exception would be lost
        signal.signal(signal.SIGHUP, server.handle_exit)  # in the response that is being written.
    try:
        with blas_threads(threads()):
            opened(f"http://127.0.0.1:{number}/?token={token}")
            server.run(sockets=[listener])
    finally:
        thread.close()
        listener.close()
