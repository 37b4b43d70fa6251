"""What happens around every request: its id, its log line and metrics, and errors that nobody caught."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imeasure_server.api.detail_errors import answers_detail, detail_body
from imeasure_server.api.radanalyzer.errors import error_body, is_v3
from imeasure_server.errors import ApiError, InternalError, ServerBusy
from imeasure_server.logging_setup import FIELDS
from imeasure_server.metrics import ServerMetrics

logger = logging.getLogger("imeasure_server.requests")

REQUEST_ID = "X-Request-ID"
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
GONE = 499


class RequestRecord:
    """Gives each request an id, and logs and counts its answer by route, never by what was sent.

    Routes add the seconds of their stages to ``request.state.timings``; the ``Server-Timing`` header tells them.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = _request_id(Headers(scope=scope).get(REQUEST_ID))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        timings: dict[str, float] = state.setdefault("timings", {})
        status = 0

        async def send_recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                if timings:
                    headers["Server-Timing"] = _server_timing(timings, time.perf_counter() - start)
            await send(message)

        try:
            await self._app(scope, receive, send_recorded)
        except Exception:
            logger.exception("A request failed unexpectedly.", extra={FIELDS: {"request_id": request_id}})
            if status:
                raise
            await error_answer(scope, InternalError())(scope, receive, send_recorded)
        except asyncio.CancelledError:  # a second Ctrl-C: the server ends now
            if not status:
                await error_answer(scope, ServerBusy())(scope, receive, send_recorded)
            raise
        finally:
            self._record(scope, request_id, status or GONE, time.perf_counter() - start, timings)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float, timings: Mapping[str, float]) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.observe(method, route, status, seconds, timings)
        fields = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "stages": {name: round(spent, 4) for name, spent in timings.items()},
        }
        logger.info("request", extra={FIELDS: fields})


def error_answer(scope: Scope, error: ApiError) -> Response:
    """An error in the form of the protocol that the request's address belongs to."""
    if is_v3(scope["path"]):
        body = error_body(error)
    elif answers_detail(scope["path"]):
        body = detail_body(error)
    else:
        body = error.body
    return JSONResponse(body, error.status, headers=error.headers)


def _request_id(given: str | None) -> str:
    """The client's id when it is a sane one, else a new one."""
    return given if given is not None and _SANE_ID.fullmatch(given) else uuid.uuid4().hex


def _server_timing(timings: Mapping[str, float], total: float) -> str:
    """As in W3C Server Timing: milliseconds by stage."""
    entries = {**timings, "total": total}
    return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in entries.items())
