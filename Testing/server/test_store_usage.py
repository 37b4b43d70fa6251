"""Usage, billing and history by the contract, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import psycopg
import pytest
from postgres import PostgresServer
from sqlalchemy import Connection, event, func, select, text

from imeasure_server.store.database import Database, StoreUnavailable
from imeasure_server.store.history import History, PastMeasurement, dated_values
from imeasure_server.store.keys import Keys
from imeasure_server.store.rates import CallType, Rates
from imeasure_server.store.tables import calls
from imeasure_server.store.usage import Billing, Measurement, MonthlyUse, Usage

NOW = datetime(2026, 3, 27, 15, 0, tzinfo=timezone.utc)
DAY = timedelta(hours=24)
RATES = Rates.model_validate({})
SCORE = Measurement(10.4, 2.8)


class Customer:
    """One key, with what its calls say."""

    def __init__(self, database: Database, name: str = "Clinic", rates: Rates = RATES) -> None:
        self.database = database
        self.key = Keys(database).create(name)
        self.usage = Usage(database, rates)

    def charge(
        self,
        uuid: str | None = None,
        now: datetime = NOW,
        kind: CallType = "single",
        reference: str | None = None,
        valid: bool = True,
        score: Measurement = SCORE,
    ) -> Billing:
        return self.usage.charge(self.key.id, kind, valid, uuid, now, score if valid else None, reference)

    def history(self, uuid: str | None, before: datetime | None = None) -> list[tuple[str, float | None, float | None]]:
        found = History(self.database).measurements(self.key.id, uuid, before)
        return [(entry.date, entry.vhs, entry.vlas) for entry in found]


@pytest.fixture
def customer(database: Database) -> Customer:
    return Customer(database)


def rows(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(calls)).scalar_one()


def test_the_three_shapes_of_the_contract(customer: Customer) -> None:
    for _ in range(46):
        customer.charge()
    billed = customer.charge("patient-123").as_json()
    assert json.dumps(billed) == (
        '{"billable": true, "reason": "valid_vhs", "call_type": "single", "monthly_usage": 47, "tier": "paygo", '
        '"rate": 3.0}'
    )
    assert json.dumps(customer.charge(valid=False).as_json()) == (
        '{"billable": false, "reason": "no_valid_vhs", "monthly_usage": 47, "tier": "paygo"}'
    )
    assert json.dumps(customer.charge("patient-123").as_json()) == (
        '{"billable": false, "reason": "recheck_24h", "monthly_usage": 47, "tier": "paygo"}'
    )
    session = customer.charge(kind="session").as_json()
    assert (session["call_type"], session["monthly_usage"], session["rate"]) == ("session", 48, 4.0)


def test_the_first_call_of_a_new_key(customer: Customer) -> None:
    assert customer.charge(valid=False).as_json() == {
        "billable": False,
        "reason": "no_valid_vhs",
        "monthly_usage": 0,
        "tier": "paygo",
    }
    assert customer.charge().monthly_usage == 1


def test_the_tier_is_that_of_the_calls_own_number(database: Database) -> None:
    customer = Customer(database, rates=Rates.model_validate({"enterprise": {"single": 1.25, "session": "2.10"}}))
    said = {}
    with database.writing() as connection:  # all but the calls around the bounds of the tiers, at once
        insert = text(
            "INSERT INTO calls (key_id, reference, at, call_type, billed, month, monthly_usage, tier, cents) "
            "VALUES (:key, :reference, :at, 'single', :billed, '2026-03', :number, 'paygo', 0)"
        )
        far = [number for number in range(1, 2003) if min(abs(number - bound) for bound in (100, 500, 2000)) > 1]
        for number in far:
            values = {"key": customer.key.id, "reference": str(number), "at": "2026-03-01 00:00:00+00"}
            connection.execute(insert, {**values, "number": number, "billed": number == 98})
    for expected in (99, 100, 101, 499, 500, 501, 1999, 2000, 2001, 2002):
        with database.writing() as connection:
            connection.execute(
                text("UPDATE calls SET billed = :yes WHERE reference = :number"),
                {"yes": True, "number": str(expected - 1)},
            )
        billing = customer.charge(kind="single" if expected % 2 else "session")
        assert billing.monthly_usage == expected
        said[expected] = (billing.tier, billing.as_json()["rate"])
    assert said == {
        99: ("paygo", 3.0),
        100: ("paygo", 4.0),
        101: ("starter", 2.5),
        499: ("starter", 2.5),
        500: ("starter", 3.5),
        501: ("professional", 2.0),
        1999: ("professional", 2.0),
        2000: ("professional", 3.0),
        2001: ("enterprise", 1.25),
        2002: ("enterprise", 2.1),
    }
    assert customer.charge(valid=False).tier == "enterprise"


def test_grace_of_24_hours_since_the_billed_call(customer: Customer) -> None:
    assert customer.charge("a").billable
    assert customer.charge("a", NOW + timedelta(hours=12)).reason == "recheck_24h"
    assert customer.charge("a", NOW + DAY - timedelta(microseconds=1)).reason == "recheck_24h"
    assert customer.charge("a", NOW + DAY).billable  # a recheck does not prolong it
    assert customer.charge("a", NOW + DAY + timedelta(hours=1)).reason == "recheck_24h"
    assert customer.charge("b").billable
    assert customer.charge("a ").billable


def test_grace_is_for_single_and_session_calls_alike(customer: Customer) -> None:
    assert customer.charge("a", kind="session").billable
    assert customer.charge("a", kind="single").reason == "recheck_24h"


def test_a_call_that_was_not_billed_begins_no_grace(customer: Customer) -> None:
    assert customer.charge("a", valid=False).reason == "no_valid_vhs"
    assert customer.charge("a").billable
    assert customer.charge("a", valid=False).reason == "no_valid_vhs"


@pytest.mark.parametrize("uuid", [None, ""])
def test_without_a_patient_there_is_no_grace_and_no_history(customer: Customer, uuid: str | None) -> None:
    assert [customer.charge(uuid).billable for _ in range(3)] == [True] * 3
    assert customer.history(uuid) == []


def test_grace_across_the_turn_of_the_month(customer: Customer) -> None:
    before = datetime(2026, 3, 31, 23, 0, tzinfo=timezone.utc)
    assert customer.charge("a", before).monthly_usage == 1
    recheck = customer.charge("a", before + timedelta(hours=2))
    assert (recheck.reason, recheck.monthly_usage) == ("recheck_24h", 0)
    assert customer.charge("b", before + timedelta(hours=2)).monthly_usage == 1


def test_the_month_is_that_of_utc(customer: Customer) -> None:
    tokyo = timezone(timedelta(hours=9))
    assert customer.charge(now=datetime(2026, 4, 1, 8, 59, tzinfo=tokyo)).monthly_usage == 1
    assert customer.charge(now=datetime(2026, 3, 31, 23, 59, tzinfo=timezone.utc)).monthly_usage == 2
    assert customer.charge(now=datetime(2026, 4, 1, 9, 0, tzinfo=tokyo)).monthly_usage == 1
    assert [use.single for use in customer.usage.month("2026-03")] == [2]


def test_customers_share_nothing(database: Database) -> None:
    first, second = Customer(database, "first"), Customer(database, "second")
    assert first.charge("patient", reference="same").monthly_usage == 1
    billed = second.charge("patient", reference="same", score=Measurement(9.0, None))
    assert (billed.billable, billed.monthly_usage) == (True, 1)
    assert first.history("patient") == [("2026-03-27", 10.4, 2.8)]
    assert second.history("patient") == [("2026-03-27", 9.0, None)]


def test_history_is_in_order_and_has_the_rechecks(customer: Customer) -> None:
    moments = [NOW - 400 * DAY, NOW, NOW + timedelta(hours=1)]
    for number, moment in enumerate(moments):
        customer.charge("a", moment, score=Measurement(9 + number, None if number == 1 else 2.0))
    customer.charge("a", NOW, valid=False)
    customer.charge("b", NOW)
    assert customer.history("a") == [("2025-02-20", 9, 2.0), ("2026-03-27", 10, None), ("2026-03-27", 11, 2.0)]
    assert customer.history("a", before=moments[1]) == [("2025-02-20", 9, 2.0)]
    assert customer.history("A") == []


def test_history_as_the_contract_writes_it() -> None:
    found = [PastMeasurement("2026-03-27", 11.38, 1.88), PastMeasurement("2026-03-28", 11.0, None)]
    assert dated_values(found, "vhs") == [["2026-03-27", 11.38], ["2026-03-28", 11.0]]
    assert dated_values(found, "vlas") == [["2026-03-27", 1.88]]


def test_a_reference_is_charged_once(customer: Customer, database: Database) -> None:
    first = customer.charge("a", kind="session", reference="pop:0123456789abcdef")
    customer.charge("b")
    again = customer.charge("a", NOW + 40 * DAY, kind="session", reference="pop:0123456789abcdef")
    assert again == first
    assert rows(database) == 2
    recheck = customer.charge("a", reference="pop:1")
    assert customer.charge("a", reference="pop:1") == recheck
    assert recheck.reason == "recheck_24h"
    assert len(customer.history("a")) == 2


@pytest.mark.parametrize("uuid", ["\0", "\ud800", "x" * 1_000_000, "'; DROP TABLE calls; --", "ü" * 300])
def test_any_patient_identifier_is_one_and_is_not_kept(customer: Customer, database: Database, uuid: str) -> None:
    assert customer.charge(uuid).billable
    assert customer.charge(uuid).reason == "recheck_24h"
    assert len(customer.history(uuid)) == 2
    with database.reading() as connection:
        assert uuid[:300] not in str(connection.execute(select(calls)).all())


def test_without_billing_everything_is_counted_at_rate_0(database: Database) -> None:
    customer = Customer(database, rates=Rates.free())
    assert customer.charge("a").as_json() == {
        "billable": True,
        "reason": "valid_vhs",
        "call_type": "single",
        "monthly_usage": 1,
        "tier": "paygo",
        "rate": 0.0,
    }
    assert customer.charge("a").reason == "recheck_24h"


def test_a_months_usage_for_the_operator(database: Database) -> None:
    first, second = Customer(database, "first"), Customer(database, "second")
    for uuid in ("a", "a", "b", None):
        first.charge(uuid)
    first.charge("c", kind="session")
    second.charge(kind="session")
    second.charge(now=NOW + 30 * DAY)
    assert first.usage.month("2026-03") == [
        MonthlyUse(first.key.id, "first", single=3, session=1, rechecks=1, cents=1300),
        MonthlyUse(second.key.id, "second", single=0, session=1, rechecks=0, cents=400),
    ]
    assert first.usage.month("2026-05") == []


def test_a_key_that_is_not_there_is_not_charged(customer: Customer, database: Database) -> None:
    with pytest.raises(StoreUnavailable):
        customer.usage.charge(customer.key.id + 1, "single", True, "a", NOW, SCORE)
    assert rows(database) == 0


def test_a_failed_database_is_a_billing_error(postgresql: PostgresServer, postgresql_database: Database) -> None:
    customer = Customer(postgresql_database)
    assert customer.charge().billable
    postgresql.halt()
    try:
        for valid in (True, False):
            with pytest.raises(StoreUnavailable):
                customer.charge("a", valid=valid)
        assert customer.usage.billing_error(customer.key.id, NOW).as_json() == {
            "billable": False,
            "reason": "billing_error",
            "monthly_usage": 1,
            "tier": "paygo",
        }
        assert customer.usage.billing_error(customer.key.id, NOW + 30 * DAY).monthly_usage == 0
        assert customer.usage.billing_error(customer.key.id + 1, NOW).monthly_usage == 0
    finally:
        postgresql.run()
    assert customer.charge("a").monthly_usage == 2


def test_a_call_is_charged_when_only_its_connection_broke(
    postgresql: PostgresServer, postgresql_database: Database
) -> None:
    customer, broken = Customer(postgresql_database), []

    @event.listens_for(postgresql_database.engine, "before_cursor_execute")
    def break_once(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        """Just before the row is written."""
        if statement.startswith("INSERT INTO calls") and not broken:
            broken.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
            with psycopg.connect(postgresql.url(), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", broken)

    assert customer.charge("a").monthly_usage == 1
    assert len(broken) == 1
    assert rows(postgresql_database) == 1
