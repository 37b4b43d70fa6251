"""JSON answers with pictures in them, made off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response


async def json_answer(make: Callable[[], dict[str, Any]]) -> Response:
    """The answer that ``make`` makes; megabytes of base64 take a while to write."""
    return await asyncio.to_thread(lambda: JSONResponse(make()))
