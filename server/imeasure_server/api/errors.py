"""Every error as the contract's ``{"error", "code", "details"?}``."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from imeasure_server.api.disconnect import ClientDisconnected
from imeasure_server.api.middleware import GONE
from imeasure_server.errors import ApiError, InternalError, RequestInvalid, ServerBusy
from imeasure_server.logging_setup import FIELDS
from imeasure_server.models.pool import JobFailed, OutOfMemory, PoolClosed, PoolError, QueueFull

logger = logging.getLogger(__name__)

_HTTP_ERRORS = {
    404: ("NOT_FOUND", "There is nothing at this address; see /docs for what this server offers"),
    405: ("METHOD_NOT_ALLOWED", "This address does not take requests of this method; see /docs for those it takes"),
}


def add_error_handlers(app: FastAPI) -> None:
    """Errors of routes and of the workers become answers."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(PoolError, _pool_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ClientDisconnected, _client_gone)


def _rendered(error: ApiError) -> Response:
    return JSONResponse(error.body, error.status, headers=error.headers)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _rendered(error)


async def _pool_error(request: Request, error: Exception) -> Response:
    if isinstance(error, QueueFull | PoolClosed):
        return _rendered(ServerBusy())
    fields = {"request_id": request.state.request_id, "cause": str(error)}
    if isinstance(error, JobFailed):
        fields["trace"] = error.trace
    logger.error("A job failed.", extra={FIELDS: fields})
    return _rendered(InternalError({"cause": str(error)} if isinstance(error, OutOfMemory) else None))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _HTTP_ERRORS.get(error.status_code, ("HTTP_ERROR", str(error.detail)))
    return _rendered(ApiError(error.status_code, code, message, headers=error.headers))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields: dict[str, list[str]] = {}
    for entry in error.errors():
        fields.setdefault(".".join(str(part) for part in entry["loc"][1:]) or "body", []).append(entry["msg"])
    return _rendered(RequestInvalid(fields))


async def _client_gone(request: Request, error: Exception) -> Response:
    """Nobody reads this; the status is for the log."""
    return Response(status_code=GONE)
