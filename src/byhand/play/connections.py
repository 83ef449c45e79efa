"""Connections of the playground's server: their rate, their number, and the time that they may wait for a request.

Any program on the machine can connect. Without limits, idle connections would take all file descriptors of the process,
which the training needs for its checkpoints, and a flood of them the processor time.
"""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Maximum number of connections: 300 pages, with one more request each for some.
MAX_CONNECTIONS = 400
#: File descriptors that are kept for the data, the run and the evaluation.
RESERVED_FILES = 128
#: Maximum seconds from the start of a connection, or from a response, to the end of the next request's headers.
WAITING_TIME = 10.0
#: Maximum number of new connections a second, after a burst. Each takes half a millisecond of processor time.
RATE, BURST = 200, 50
#: Cost of a connection that has ended already, as a fraction of another's.
ENDED_COST = 0.1
#: Maximum number of connections that wait in the system to be accepted.
BACKLOG = 4_096


def limit() -> int:
    """Return the maximum number of connections, which leaves some of the process's file descriptors."""
    try:
        import resource
    except ImportError:  # Windows
        return MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files < 0 else max(8, min(MAX_CONNECTIONS, files - RESERVED_FILES))


class Connection(H11Protocol):
    """A connection that is closed if it waits too long, or longest when there are too many."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.waits_since = self.loop.time()
        self.timer = self.loop.call_later(WAITING_TIME, self.close_if_late)
        others = [one for one in self.connections if isinstance(one, Connection) and not one.transport.is_closing()]
        if len(others) > limit():
            waiting = [one for one in others if one.is_waiting and one is not self]
            min(waiting, key=lambda one: one.waits_since, default=self).transport.abort()

    @property
    def is_waiting(self) -> bool:
        """True between requests."""
        return self.cycle is None or self.cycle.response_complete

    def on_response_complete(self) -> None:
        self.waits_since = self.loop.time()
        super().on_response_complete()

    def close_if_late(self) -> None:
        left = self.waits_since + WAITING_TIME - self.loop.time() if self.is_waiting else WAITING_TIME
        if left <= 0:
            self.transport.abort()
        else:
            self.timer = self.loop.call_later(left, self.close_if_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self.timer.cancel()
        super().connection_lost(exc)


def has_ended(accepted: socket.socket) -> bool:
    """Return True if the client has closed the connection without a request."""
    try:
        return accepted.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


class Server(uvicorn.Server):
    """An HTTP server that accepts connections at a limited rate, so that a flood of them does not stop the training."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])  # uvicorn would accept without a limit
        self.accepting = [asyncio.create_task(self.accept(listener)) for listener in sockets or []]

    async def accept(self, listener: socket.socket) -> None:
        """Accept connections until canceled, at most RATE a second after a burst (a token bucket)."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        if hasattr(socket, "TCP_DEFER_ACCEPT"):  # Linux: connections without a request stay in the system
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, int(WAITING_TIME))
        listener.listen(BACKLOG)
        allowed, before = float(BURST), loop.time()
        while True:
            now = loop.time()
            allowed, before = min(BURST, allowed + RATE * (now - before)), now
            if allowed < 1:
                await asyncio.sleep((1 - allowed) / RATE)
                continue
            try:
                accepted, _ = await loop.sock_accept(listener)
                if has_ended(accepted):
                    accepted.close()
                    allowed -= ENDED_COST
                else:
                    allowed -= 1
                    await loop.connect_accepted_socket(self.protocol, accepted)
            except OSError:  # no file descriptor, or the client has gone
                await asyncio.sleep(1 / RATE)

    def protocol(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self.accepting:
            task.cancel()
        await super().shutdown(sockets)
