"""The gate: how much may be asked at once, so that training keeps its pace whatever the crowd.

What waits in front of the trainer, of a gate or of the journal is counted, and who comes on top of it is turned away
with 503. Nothing is queued without an end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.responses import JSONResponse, Response

from byhand.play.trainer import OverloadedError

#: Seconds that a client waits for the answer that there is too much to do: whoever asks again at once is slowed down.
PATIENCE = 0.25


async def turned_away(error: OverloadedError) -> Response:
    """The answer to whoever came on top of a crowd."""
    await asyncio.sleep(PATIENCE)
    return JSONResponse({"error": str(error)}, status_code=503, headers={"retry-after": "1"})


class Gate:
    """Lets so many in at once, has as many more wait as may, and turns the others away.

    A place stays empty for `rest` seconds after it was used, which is training's share.
    """

    def __init__(self, places: int, *, waiting: int = 8, rest: float = 0.0) -> None:
        self.places = asyncio.Semaphore(places)
        self.may_wait, self.rest = waiting, rest

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        if self.places.locked():
            if self.may_wait <= 0:
                raise OverloadedError("too much at once: ask again in a moment")
            self.may_wait -= 1
            try:
                await self.places.acquire()
            finally:
                self.may_wait += 1
        else:
            await self.places.acquire()
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(self.rest, self.places.release)
