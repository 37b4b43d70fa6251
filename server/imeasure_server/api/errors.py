"""Every error as the contract of its route writes it: iMeasure's ``{"error", "code", "details"?}``, or ``/v3``'s."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from imeasure_server.api.disconnect import ClientDisconnected
from imeasure_server.api.middleware import GONE, error_answer
from imeasure_server.errors import ApiError, DatabaseUnavailable, InternalError, RequestInvalid, ServerBusy
from imeasure_server.logging_setup import FIELDS
from imeasure_server.models.pool import JobFailed, OutOfMemory, PoolClosed, PoolError, QueueFull
from imeasure_server.store.database import StoreUnavailable

logger = logging.getLogger(__name__)

_HTTP_ERRORS = {
    404: ("NOT_FOUND", "There is nothing at this address; see /docs for what this server offers"),
    405: ("METHOD_NOT_ALLOWED", "This address does not take requests of this method; see /docs for those it takes"),
}


def add_error_handlers(app: FastAPI) -> None:
    """Errors of routes and of the workers become answers."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(PoolError, _pool_error)
    app.add_exception_handler(StoreUnavailable, _store_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ClientDisconnected, _client_gone)


def log_failed_job(request: Request, error: PoolError) -> None:
    """Write down why a worker gave no outcome."""
    fields = {"request_id": request.state.request_id, "cause": str(error)}
    if isinstance(error, JobFailed):
        fields["trace"] = error.trace
    logger.error("A job failed.", extra={FIELDS: fields})


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_answer(request.scope, error)


async def _pool_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PoolError)
    if isinstance(error, QueueFull | PoolClosed):
        return error_answer(request.scope, ServerBusy())
    log_failed_job(request, error)
    cause = {"cause": str(error)} if isinstance(error, OutOfMemory) else None
    return error_answer(request.scope, InternalError(cause))


async def _store_error(request: Request, error: Exception) -> Response:
    logger.error("%s", error, extra={FIELDS: {"request_id": request.state.request_id}})
    return error_answer(request.scope, DatabaseUnavailable())


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _HTTP_ERRORS.get(error.status_code, ("HTTP_ERROR", str(error.detail)))
    return error_answer(request.scope, ApiError(error.status_code, code, message, headers=error.headers))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields: dict[str, list[str]] = {}
    for entry in error.errors():
        fields.setdefault(".".join(str(part) for part in entry["loc"][1:]) or "body", []).append(entry["msg"])
    return error_answer(request.scope, RequestInvalid(fields))


async def _client_gone(request: Request, error: Exception) -> Response:
    """Nobody reads this; the status is for the log."""
    return Response(status_code=GONE)
