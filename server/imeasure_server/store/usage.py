"""Usage and billing: decides what a call costs, counts it, and enters it in the history, in one transaction."""

from __future__ import annotations

import hashlib
import uuid as uuids
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from sqlalchemy import Connection, Row, case, false, func, insert, select

from imeasure_server.store.database import Database, StoreUnavailable
from imeasure_server.store.rates import CallType, Rates, Tier
from imeasure_server.store.tables import calls, keys

Reason = Literal["valid_vhs", "no_valid_vhs", "recheck_24h", "billing_error"]

GRACE = timedelta(hours=24)
ATTEMPTS = 2


@dataclass(frozen=True)
class Measurement:
    """What enters the history: in vertebrae; a VLAS may be missing (result code 4)."""

    vhs: float | None
    vlas: float | None


@dataclass(frozen=True)
class Billing:
    """What a client is told about the cost of a call.

    Attributes:
        billable: whether it was counted and charged.
        reason: the contract's.
        monthly_usage: billed calls of this key in this month (UTC), with this one if it was billed.
        tier: of this call when it was billed, else of the month's last billed call.
        call_type, cents: what was charged; None unless billable.
    """

    billable: bool
    reason: Reason
    monthly_usage: int
    tier: Tier
    call_type: CallType | None = None
    cents: int | None = None

    def as_json(self) -> dict[str, Any]:
        """One of the contract's three shapes."""
        shape: dict[str, Any] = {"billable": self.billable, "reason": self.reason}
        if self.call_type is not None:
            shape["call_type"] = self.call_type
        shape |= {"monthly_usage": self.monthly_usage, "tier": self.tier}
        if self.cents is not None:
            shape["rate"] = self.cents / 100
        return shape


@dataclass(frozen=True)
class MonthlyUse:
    """What an operator charges a customer for a month (UTC).

    Attributes:
        key_id, name: of the key.
        single, session: billed calls of each type.
        rechecks: measured again within 24 h, free.
        cents: the sum.
    """

    key_id: int
    name: str
    single: int
    session: int
    rechecks: int
    cents: int


class Usage:
    """Counts calls.

    A call is billed when it has a valid VHS, unless the same key had a call *billed* for the same uuid less than 24
    hours before: then it is a recheck, free, and does not prolong the grace. Its tier is that of its own number in
    the key's month: with the contract's tiers number 100 is paygo, number 101 starter.
    """

    def __init__(self, database: Database, rates: Rates) -> None:
        self._database = database
        self._rates = rates
        self._last_known: dict[int, tuple[str, int]] = {}

    def charge(
        self,
        key_id: int,
        call_type: CallType,
        code_billable: bool,
        uuid: str | None,
        now: datetime,
        measurement: Measurement | None,
        reference: str | None = None,
    ) -> Billing:
        """Decide, count, and enter the measurement in the history: all of it or nothing.

        Args:
            key_id: `KeyInfo.id`.
            call_type: one for a single image, ``session`` once for a batch, a stream or a PoP session.
            code_billable: whether the result code is one of 1 to 4. When not, nothing is written.
            uuid: of the patient; None or empty has neither grace nor history.
            now: an aware moment; its month in UTC counts.
            measurement: for the history; enters it when ``code_billable``, also as a recheck.
            reference: of at most 64 characters; a second call of the same key with it changes nothing and gets the
                answer of the first. For a PoP session ``pop:<session id>``.

        Raises:
            StoreUnavailable: it was not counted. The result is still the customer's: see `billing_error`.
        """
        if not code_billable:
            return self._remember(key_id, now, self._free(key_id, now))
        call = _Call(key_id, call_type, patient_hash(uuid), now, measurement, reference or uuids.uuid4().hex)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._database.writing() as connection:
                    return self._remember(key_id, now, self._count(connection, call))
            except StoreUnavailable as error:  # the reference makes it safe to do it again
                if attempt == ATTEMPTS or not error.is_disconnect:
                    raise
        raise AssertionError("unreachable")

    def billing_error(self, key_id: int, now: datetime) -> Billing:
        """What a client is told when `charge` failed: free, with the count that this process last saw this month."""
        month, usage = self._last_known.get(key_id, ("", 0))
        usage = usage if month == month_of(now) else 0
        return Billing(False, "billing_error", usage, self._rates.tier(usage))

    def month(self, month: str) -> list[MonthlyUse]:
        """What every key with a call in a month (``YYYY-MM``, UTC) used.

        Raises:
            StoreUnavailable: the database failed.
        """
        with self._database.reading() as connection:
            rows = connection.execute(_MONTHLY.where(calls.c.month == month))
            return [MonthlyUse(*(row[0], row[1]), *(int(value or 0) for value in row[2:])) for row in rows]

    def _free(self, key_id: int, now: datetime) -> Billing:
        with self._database.reading() as connection:
            usage = int(connection.execute(select(_used(key_id, month_of(now)))).scalar_one() or 0)
        return Billing(False, "no_valid_vhs", usage, self._rates.tier(usage))

    def _count(self, connection: Connection, call: _Call) -> Billing:
        """Within a writing transaction; calls of one key come here one after another."""
        if connection.dialect.name != "sqlite":  # SQLite has one writer anyway
            connection.execute(select(keys.c.id).where(keys.c.id == call.key_id).with_for_update(key_share=True))
        month = month_of(call.now)
        same = (calls.c.key_id == call.key_id) & (calls.c.reference == call.reference)
        earlier = connection.execute(select(calls).where(same)).one_or_none()
        if earlier is not None:
            return _as_answered(earlier)
        used, in_grace = connection.execute(select(_used(call.key_id, month), _in_grace(call))).one()
        usage = int(used or 0) + (0 if in_grace else 1)
        tier = self._rates.tier(usage)
        row: dict[str, Any] = {
            "key_id": call.key_id,
            "reference": call.reference,
            "at": call.now,
            "patient": call.patient,
            "vhs": call.measurement.vhs if call.measurement else None,
            "vlas": call.measurement.vlas if call.measurement else None,
            "call_type": call.call_type,
            "billed": not in_grace,
            "month": month,
            "monthly_usage": usage,
            "tier": tier,
            "cents": 0 if in_grace else self._rates.cents(tier, call.call_type),
        }
        connection.execute(insert(calls).values(row))
        if in_grace:
            return Billing(False, "recheck_24h", usage, tier)
        return Billing(True, "valid_vhs", usage, tier, call.call_type, row["cents"])

    def _remember(self, key_id: int, now: datetime, billing: Billing) -> Billing:
        self._last_known[key_id] = (month_of(now), billing.monthly_usage)
        return billing


@dataclass(frozen=True)
class _Call:
    key_id: int
    call_type: CallType
    patient: bytes | None
    now: datetime
    measurement: Measurement | None
    reference: str


def patient_hash(uuid: str | None) -> bytes | None:
    """What the database knows of a patient identifier: its SHA-256, of whatever it is made and however long."""
    return hashlib.sha256(uuid.encode("utf-8", "surrogatepass")).digest() if uuid else None


def month_of(moment: datetime) -> str:
    """The billing period: ``YYYY-MM`` in UTC."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m")


def _used(key_id: int, month: str) -> Any:
    """The number of the month's last billed call, or NULL."""
    which = (calls.c.key_id == key_id) & (calls.c.month == month) & calls.c.billed
    return select(func.max(calls.c.monthly_usage)).where(which).scalar_subquery()


def _in_grace(call: _Call) -> Any:
    """Whether this patient was billed less than 24 hours ago; also by a server whose clock is ahead."""
    if call.patient is None:
        return false()
    same = (calls.c.key_id == call.key_id) & (calls.c.patient == call.patient)
    return select(calls.c.id).where(same, calls.c.at > call.now - GRACE, calls.c.billed).exists()


def _as_answered(row: Row[Any]) -> Billing:
    """The answer that the call of this row was given."""
    if not row.billed:
        return Billing(False, "recheck_24h", row.monthly_usage, row.tier)
    return Billing(True, "valid_vhs", row.monthly_usage, row.tier, row.call_type, row.cents)


def _number_of(call_type: CallType) -> Any:
    return func.sum(case((calls.c.billed & (calls.c.call_type == call_type), 1), else_=0))


_MONTHLY = (
    select(
        keys.c.id,
        keys.c.name,
        _number_of("single"),
        _number_of("session"),
        func.sum(case((calls.c.billed, 0), else_=1)),
        func.sum(calls.c.cents),
    )
    .join_from(calls, keys)
    .group_by(keys.c.id, keys.c.name)
    .order_by(keys.c.id)
)
