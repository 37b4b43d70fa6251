"""Notice a client that goes away while its answer is being computed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

Result = TypeVar("Result")


class ClientDisconnected(Exception):
    """Nobody waits for the answer any more."""


async def run_until_disconnect(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Await ``work``, but cancel it when the client goes away. The request's body must have been read.

    Raises:
        ClientDisconnected: the client went away; ``work`` was cancelled and has ended.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        watching.result()
        raise ClientDisconnected
    finally:
        await _end(watching)
        await _end(working)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _end(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
