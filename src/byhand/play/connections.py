"""Connections of the playground's server: their number, and the time that they may wait for a request.

Any program on the machine can connect. Without a limit, idle connections would take all file descriptors of the
process, which the training needs for its checkpoints.
"""

from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Maximum number of connections: 300 pages, with one more request each for some.
MAX_CONNECTIONS = 400
#: File descriptors that are kept for the data, the run and the evaluation.
RESERVED_FILES = 128
#: Maximum seconds from the start of a connection, or from a response, to the end of the next request's headers.
WAITING_TIME = 10.0


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
