"""The application: which address does what. Handlers are thin: read the request, have a job done, answer in JSON.

What touches the playground is a job for the trainer's thread; what takes longer works on a copy of the model in a
thread of its own, behind a gate, so that a flood of requests is answered 503 and training goes on.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from byhand.errors import ByhandError, UsageError
from byhand.export import exporter, sample_for
from byhand.model import Model
from byhand.page import FILES, model_weights, picture_shape, source
from byhand.play import panels
from byhand.play.events import MOST_READERS, Journal, pump
from byhand.play.limits import Gate, turned_away
from byhand.play.playground import Playground
from byhand.play.requests import TooLargeError, fields_of, needed, picture_of, whole
from byhand.play.setup import Setup, fitting
from byhand.play.trainer import OverloadedError, Trainer
from byhand.report import Evaluation, evaluate

Result = TypeVar("Result")
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
DOWNLOADS = {"html": "text/html", "onnx": "application/octet-stream", "npz": "application/octet-stream"}


class Server:
    """The handlers, and what they share."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.journal = Journal()
        #: The page reads drawings itself; these are for others, at most a hundred a second.
        self.predictions = Gate(2, rest=0.02)
        self.work = Gate(4)
        self._evaluation: tuple[int, Evaluation] | None = None
        self._evaluating = threading.Lock()

    def app(self) -> Starlette:
        get, post = ["GET"], ["POST"]
        return Starlette(
            routes=[
                Route("/", self.index, methods=get),
                Route("/page/{name:path}", self.file, methods=get),
                Route("/api/state", self.state, methods=get),
                Route("/api/events", self.events, methods=get),
                Route("/api/weights", self.weights, methods=get),
                Route("/api/sample", self.sample, methods=get),
                Route("/api/unit", self.unit, methods=get),
                Route("/api/errors", self.errors, methods=get),
                Route("/api/errors/pictures", self.wrong_pictures, methods=get),
                Route("/api/export/{to}", self.export, methods=get),
                Route("/api/python", self.python, methods=get),
                Route("/api/control", self.control, methods=post),
                Route("/api/setup", self.setup, methods=post),
                Route("/api/predict", self.predict, methods=post),
                Route("/api/added", self.add, methods=post),
                Route("/api/step", self.step, methods=post),
            ],
            lifespan=self.lifespan,
            exception_handlers={
                ByhandError: self.refused,
                HTTPException: self.http_error,
                Exception: self.failed,
            },
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        pumping = asyncio.create_task(pump(self.journal, self.trainer))
        try:
            yield
        finally:
            pumping.cancel()

    # ---- answers when something is wrong

    async def refused(self, _request: Request, error: Exception) -> Response:
        if isinstance(error, OverloadedError):
            return await turned_away(error)
        return JSONResponse({"error": str(error)}, status_code=413 if isinstance(error, TooLargeError) else 400)

    async def http_error(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)

    async def failed(self, _request: Request, error: Exception) -> Response:
        return JSONResponse({"error": f"the playground made a mistake: {type(error).__name__}"}, status_code=500)

    # ---- having things done

    async def job(self, job: Callable[[Playground], Result]) -> Result:
        """Have a job done by the trainer, between two steps."""
        return await asyncio.wrap_future(self.trainer.submit(job))

    async def on_copy(self, work: Callable[[Model], Result]) -> Result:
        """Work on a copy of the model, in another thread, if there is room."""
        async with self.work():
            _, model = await self.job(lambda playground: playground.copy())
            return await asyncio.to_thread(work, model)

    # ---- the page

    async def index(self, _request: Request) -> Response:
        return Response(source("playground.html"), media_type="text/html")

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            raise HTTPException(404, "no such file")
        return Response(source(name), media_type=KINDS[name[name.rindex(".") :]])

    async def state(self, _request: Request) -> Response:
        state = await self.job(lambda playground: panels.whole_state(self.trainer, playground))
        # Jobs are answered in their order: by now the journal has all news from before this state, and none from after.
        return JSONResponse(state | {"last": self.journal.last_id})

    async def events(self, request: Request) -> Response:
        if self.journal.readers >= MOST_READERS:
            raise OverloadedError(f"{MOST_READERS} pages are reading already")
        after = request.headers.get("last-event-id") or request.query_params.get("after")
        return StreamingResponse(self.journal.read(after), media_type="text/event-stream")

    async def weights(self, _request: Request) -> Response:
        def weights(playground: Playground) -> tuple[int, int, bytes]:
            return playground.training, playground.version, model_weights(playground.model).tobytes()

        training, version, content = await self.job(weights)
        headers = {"x-training": str(training), "x-version": str(version)}
        return Response(content, media_type="application/octet-stream", headers=headers)

    # ---- control

    async def control(self, request: Request) -> Response:
        fields = await fields_of(request, action=str, stop_at=(int, type(None)))
        stop_at = fields.get("stop_at")
        if stop_at is not None and not 1 <= stop_at <= 100_000:
            raise UsageError(f"stop_at must be an epoch from 1 to 100000, got {stop_at}")

        def control(playground: Playground) -> dict[str, Any]:
            if "stop_at" in fields:
                self.trainer.stop_at = stop_at
            if "action" in fields:
                self.trainer.control(fields["action"], playground)
            return self.trainer.state(playground)

        return JSONResponse(await self.job(control))

    async def setup(self, request: Request) -> Response:
        names = Setup().to_json()
        kinds = {name: list if name == "layers" else type(value) for name, value in names.items()}
        setup = Setup.from_json(await fields_of(request, **{**kinds, "learning_rate": (float, int)}))

        def begin(playground: Playground) -> dict[str, Any]:
            self.trainer.begin(setup, playground)
            return self.trainer.state(playground)

        return JSONResponse(await self.job(begin))

    # ---- Draw

    def recent_copy(self, playground: Playground) -> tuple[int, Model]:
        """While it trains the weights change a thousand times a second: four copies a second are enough."""
        return playground.copy(older=0.25 if self.trainer.status == "training" else 0.0)

    async def predict(self, request: Request) -> Response:
        async with self.predictions():
            fields = await fields_of(request, pixels=str)
            version, model = await self.job(self.recent_copy)
            picture = picture_of(needed(fields, "pixels"), picture_shape(model))
            probabilities = await asyncio.to_thread(model.probabilities, picture[None])
            finite = bool(np.isfinite(probabilities).all())
            return JSONResponse(
                {"probabilities": [float(p) for p in probabilities[0]] if finite else None, "version": version}
            )

    async def add(self, request: Request) -> Response:
        fields = await fields_of(request, pixels=str, label=int)

        def add(playground: Playground) -> dict[str, Any]:
            playground.add(picture_of(needed(fields, "pixels"), playground.digits.train.shape), needed(fields, "label"))
            return self.trainer.state(playground)

        return JSONResponse(await self.job(add))

    async def sample(self, request: Request) -> Response:
        asked = request.query_params.get("index")

        def sample(playground: Playground) -> dict[str, Any]:
            data = playground.digits.test
            index = (
                int(np.random.default_rng().integers(len(data))) if asked is None else whole(asked, "index", len(data))
            )
            return panels.picture_json(data, index)

        return JSONResponse(await self.job(sample))

    # ---- Network, Step, Errors, Share

    async def unit(self, request: Request) -> Response:
        layer = whole(request.query_params.get("layer"), "layer", 100)
        unit = whole(request.query_params.get("unit"), "unit", 10**6)
        data = await self.job(lambda playground: playground.kept)
        return JSONResponse(await self.on_copy(lambda model: panels.exciting(model, data, layer, unit)))

    async def step(self, request: Request) -> Response:
        fields = await fields_of(request, index=int, pixels=str, label=int, layer=int, unit=int)
        digits, setup = await self.job(lambda playground: (playground.digits, playground.setup))
        if "pixels" in fields:
            image, label = picture_of(fields["pixels"], digits.test.shape), needed(fields, "label")
        else:
            index = needed(fields, "index")
            if not 0 <= index < len(digits.test):
                raise UsageError(f"index must be 0 to {len(digits.test) - 1}, got {index}")
            image, label = digits.test[index]
        unit = (needed(fields, "layer"), needed(fields, "unit")) if {"layer", "unit"} & set(fields) else None
        return JSONResponse(await self.on_copy(lambda model: panels.one_step(model, image, label, setup, unit)))

    async def evaluated(self) -> Evaluation:
        """What the model as it is now makes of the test set; read once for each version of it."""
        (version, model), test = await self.job(lambda playground: (playground.copy(), playground.digits.test))
        if not fitting(model, test):
            raise UsageError(f"the model doesn't take the pictures of {test.name}")

        def evaluation() -> Evaluation:
            with self._evaluating:
                if self._evaluation is None or self._evaluation[0] != version:
                    self._evaluation = version, evaluate(model, test)
                return self._evaluation[1]

        async with self.work():
            return await asyncio.to_thread(evaluation)

    async def errors(self, _request: Request) -> Response:
        return JSONResponse(panels.errors(await self.evaluated()))

    async def wrong_pictures(self, request: Request) -> Response:
        evaluation = self._evaluation[1] if self._evaluation else await self.evaluated()
        asked = request.query_params
        label, predicted = (
            whole(asked[name], name, len(evaluation.classes)) if name in asked else None
            for name in ("label", "predicted")
        )
        return JSONResponse(panels.wrong_pictures(evaluation, label, predicted))

    async def export(self, request: Request) -> Response:
        to = request.path_params["to"]
        if to not in DOWNLOADS:
            raise HTTPException(404, "no such export")
        make = exporter(to)
        test = await self.job(lambda playground: playground.digits.test)
        content, _ = await self.on_copy(lambda model: make(model, test if fitting(model, test) else sample_for(model)))
        headers = {"content-disposition": f'attachment; filename="digits.{to}"'}
        return Response(content, media_type=DOWNLOADS[to], headers=headers)

    async def python(self, _request: Request) -> Response:
        text = await self.job(lambda p: panels.as_python(p.setup, p.step_number, p.batches_per_epoch))
        return JSONResponse({"python": text})
