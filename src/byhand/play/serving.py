"""Serving: the door on loopback, and the browser that goes through it."""

import contextlib
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

from byhand.errors import UsageError
from byhand.play.app import Server
from byhand.play.auth import Guard
from byhand.play.playground import Playground
from byhand.play.setup import threads
from byhand.play.trainer import Trainer
from byhand.threads import blas_threads

PORT = 8765


def listening(port: int | None) -> socket.socket:
    """A socket on loopback: the port asked for, or else the usual one, or else any that is free."""
    wanted = [port] if port is not None else [PORT, 0]
    for number in wanted:
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("127.0.0.1", number))
        except (OSError, OverflowError):
            door.close()
            continue
        door.listen(512)
        return door
    raise UsageError(f"the port must be free, {port} is taken: leave --port away to have one chosen")


def serve(playground: Playground, *, port: int | None, opened: Callable[[str], None]) -> None:
    """Serve the playground until Ctrl-C; `opened` is called with its address once it can be asked.

    The BLAS gets the threads that training leaves over from the start, for the whole process: it can't be told
    otherwise by one thread while another one is in a product.
    """
    import uvicorn

    door = listening(port)
    number = door.getsockname()[1]
    token = secrets.token_urlsafe(18)
    trainer = Trainer(playground)
    app = Guard(Server(trainer).app(), port=number, token=token)

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                opened(f"http://127.0.0.1:{number}/?token={token}")

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # A closed terminal ends the server as Ctrl-C does. As an exception it would be raised wherever the server
            # just is, and an answer that it is writing swallows all exceptions.
            with super().capture_signals(), handling("SIGHUP", handler=self.handle_exit):
                yield

    config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="on")
    try:
        # The server raises the signal that ended it once more: a polite end by the system saves too, as Ctrl-C does.
        with handling("SIGTERM", "SIGHUP", handler=signal.default_int_handler), blas_threads(threads()):
            Announcing(config).run(sockets=[door])
    finally:
        trainer.close()
        door.close()


@contextlib.contextmanager
def handling(*names: str, handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """The signals of these names, where the system has them, go to this handler."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
