"""Events: the news that the pages receive, numbered, so that a page that was away can catch up.

A page reads from where it stopped. If some of those events are no longer kept, it gets one event `reset` instead, and
fetches the whole state. Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html. Everything
here runs in the event loop.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

#: Seconds between two signs of life while nothing happens.
PING = 15.0
#: The number of events kept for pages that were away: over three minutes of training.
KEPT = 2_000


class EventLog:
    """Numbered events. An id is `launch-number`, so that an id of another launch is recognized."""

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
        """Number an event, and wake the readers."""
        self.count += 1
        self.events.append(f"id: {self.last_id}\ndata: {json.dumps(event, ensure_ascii=False, allow_nan=False)}\n\n")
        self._written.set()
        self._written = asyncio.Event()

    def number_of(self, event_id: str) -> int | None:
        """Return the number in an id if all events after it are kept, else None."""
        launch, _, number = event_id.rpartition("-")
        if launch != self.launch or not number.isdecimal() or len(number) > 15:
            return None
        return int(number) if self.count - len(self.events) <= int(number) <= self.count else None

    def _since(self, number: int | None) -> str:
        """Return the events after that number, or the event `reset` if they are not all kept."""
        first = self.count - len(self.events)
        if number is None or number < first:
            return f'id: {self.last_id}\ndata: {{"reset": true}}\n\n'
        return "".join(islice(self.events, number - first, None))

    async def read(self, after: str | None, ping: float = PING) -> AsyncIterator[str]:
        """Yield the text of an endless event stream, from the event after that id; without an id, from now on."""
        number = self.count if after is None else self.number_of(after)
        self.readers += 1
        try:
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
        finally:
            self.readers -= 1
