"""What ``/v3`` asks of the database: history and billing. When it fails, the measurement is still answered."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request

from imeasure_server.api.resources import store_of
from imeasure_server.logging_setup import FIELDS
from imeasure_server.store.database import StoreUnavailable
from imeasure_server.store.history import PastMeasurement
from imeasure_server.store.rates import CallType
from imeasure_server.store.usage import Measurement

logger = logging.getLogger(__name__)


def now() -> datetime:
    """This moment."""
    return datetime.now(timezone.utc)


async def past_measurements(request: Request, key_id: int, uuid: str | None) -> list[PastMeasurement] | None:
    """What was measured before in this patient; None without a uuid, and when the database cannot tell."""
    if uuid is None:
        return None
    try:
        return await asyncio.to_thread(store_of(request).history.measurements, key_id, uuid)
    except StoreUnavailable as error:
        _log(request, error)
        return None


async def charge(
    request: Request,
    key_id: int,
    call_type: CallType,
    uuid: str | None,
    measurement: Measurement | None,
    reference: str | None = None,
) -> dict[str, Any]:
    """Count a call and enter it in the history.

    Args:
        request: for the log.
        key_id: of the customer.
        call_type: see `Usage.charge`.
        uuid: of the patient.
        measurement: of a valid VHS; None is a call that is free.
        reference: see `Usage.charge`.

    Returns:
        the contract's billing object, which says ``billing_error`` when the database failed.
    """
    usage, moment = store_of(request).usage, now()
    try:
        billing = await asyncio.to_thread(
            usage.charge, key_id, call_type, measurement is not None, uuid, moment, measurement, reference
        )
    except StoreUnavailable as error:
        _log(request, error)
        billing = usage.billing_error(key_id, moment)
    return billing.as_json()


def _log(request: Request, error: StoreUnavailable) -> None:
    logger.error("%s", error, extra={FIELDS: {"request_id": request.state.request_id}})
