"""The journal: what the pages are told, numbered, so that one that was away can catch up.

A pump asks the trainer for news ten times a second at most, and writes each as one event. A page reads from where it
stopped; what is no longer kept is replaced by one event that says `reset`, and the page asks for the whole state.
Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html. All of it runs in the event loop.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from byhand.play.trainer import OverloadedError, Trainer

#: Seconds between two events, and between two signs of life where nothing happens.
PACE = 0.1
PING = 15.0
#: Events that are kept for pages that were away: over three minutes of training.
KEPT = 2_000
MOST_READERS = 300


class Journal:
    """Numbered events. An id is `launch-number`, so that an id from another launch is known for what it is."""

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
        """Number an event, and wake everyone who waits for one."""
        self.count += 1
        self.events.append(f"id: {self.last_id}\ndata: {json.dumps(event, ensure_ascii=False, allow_nan=False)}\n\n")
        self._written.set()
        self._written = asyncio.Event()

    def since(self, number: int) -> list[str]:
        """The events after that number, all of which must be kept still."""
        missed = self.count - number
        return [self.events[i] for i in range(len(self.events) - missed, len(self.events))]

    def number_of(self, event_id: str) -> int | None:
        """The number in an id, if the events after it can be told; else None."""
        launch, _, number = event_id.rpartition("-")
        if launch != self.launch or not number.isdecimal() or len(number) > 15:
            return None
        return int(number) if self.count - len(self.events) <= int(number) <= self.count else None

    async def read(self, after: str | None, ping: float = PING) -> AsyncIterator[str]:
        """The text of an event stream, from the event after that id on, for ever; without an id, from now on."""
        number = self.count if after is None else self.number_of(after)
        if number is None:
            number = self.count
            yield f'id: {self.last_id}\ndata: {{"reset": true}}\n\n'
        self.readers += 1
        try:
            yield "retry: 1000\n\n"
            while True:
                written = self._written
                if self.number_of(f"{self.launch}-{number}") is None:  # a reader too slow for what is kept
                    number = self.count
                    yield f'id: {self.last_id}\ndata: {{"reset": true}}\n\n'
                elif number < self.count:
                    events = self.since(number)
                    number = self.count
                    yield "".join(events)
                else:
                    try:
                        async with asyncio.timeout(ping):
                            await written.wait()
                    except TimeoutError:
                        yield ": ping\n\n"
        finally:
            self.readers -= 1


async def pump(journal: Journal, trainer: Trainer) -> None:
    """Write the trainer's news into the journal, at most one event every PACE seconds, for ever."""
    while True:
        await asyncio.sleep(PACE)
        try:
            news = await asyncio.wrap_future(trainer.submit(trainer.news))
        except OverloadedError:
            continue
        if news is not None:
            journal.write(news)
