"""Counts are exact with many calls at once and after ``kill -9``, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import select

from imeasure_server.store.database import Database
from imeasure_server.store.history import History
from imeasure_server.store.keys import Keys
from imeasure_server.store.rates import Rates
from imeasure_server.store.tables import calls
from imeasure_server.store.usage import Measurement, Usage

PROGRAM = Path(__file__).parent.parent / "charging_process.py"
PROCESSES, CALLS_EACH = 4, 50
KILLS, THREADS = 3, 4


class Charging:
    """One process that charges."""

    def __init__(self, database: Database, key_id: int, uuids: list[str | None] | None, threads: int) -> None:
        url = database.url.render_as_string(hide_password=False)
        order = json.dumps({"url": url, "key_id": key_id, "uuids": uuids, "threads": threads})
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), order], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def acknowledged(self) -> list[tuple[int, str, bool]]:
        """What it acknowledged until its end: number, uuid, whether it was billed."""
        output, _ = self.process.communicate(timeout=120)
        lines = [line.split() for line in output.splitlines()]
        return [(int(number), uuid, billed == "1") for number, uuid, billed in lines]


def begin(charging: list[Charging]) -> None:
    """All together, once all are ready."""
    for process in charging:
        process.wait_until_ready()
    for process in charging:
        process.go()


def counted(database: Database, key_id: int) -> list[int]:
    """The numbers of billed calls in the database, in order."""
    which = select(calls.c.monthly_usage).where(calls.c.key_id == key_id, calls.c.billed)
    with database.reading() as connection:
        return list(connection.execute(which.order_by(calls.c.monthly_usage)).scalars())


def test_200_calls_at_once_from_several_processes(database: Database) -> None:
    customer = Keys(database).create("Clinic")
    # Half of the calls are about the same patient: one of them is billed, whichever it is.
    uuids: list[str | None] = ["same" if index % 2 else None for index in range(CALLS_EACH)]
    charging = [Charging(database, customer.id, uuids, CALLS_EACH) for _ in range(PROCESSES)]
    begin(charging)
    answers = [answer for process in charging for answer in process.acknowledged()]
    total = PROCESSES * CALLS_EACH
    expected = list(range(1, total // 2 + 2))
    assert len(answers) == total
    assert sorted(number for number, _, billed in answers if billed) == expected
    assert Counter((uuid, billed) for _, uuid, billed in answers) == {
        ("-", True): total // 2,
        ("same", True): 1,
        ("same", False): total // 2 - 1,
    }
    assert counted(database, customer.id) == expected
    assert len(History(database).measurements(customer.id, "same")) == total // 2


@pytest.mark.parametrize("seed", range(KILLS))
def test_counts_after_kill_9(database: Database, seed: int) -> None:
    customer = Keys(database).create("Clinic")
    chance = random.Random(seed)
    charging = [Charging(database, customer.id, None, THREADS) for _ in range(2)]
    begin(charging)
    while not counted(database, customer.id):  # on a busy machine the first call may take its time
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.3))
    charging[0].process.kill()
    time.sleep(chance.uniform(0, 0.1))  # the other one goes on meanwhile
    charging[1].process.kill()
    answers = [answer for process in charging for answer in process.acknowledged()]
    # A database server may still be committing what it received before the process died.
    time.sleep(0.2)
    numbers = counted(database, customer.id)
    assert numbers == list(range(1, len(numbers) + 1))
    acknowledged = {number for number, _, billed in answers if billed}
    assert len(acknowledged) == len(answers)
    assert acknowledged <= set(numbers)
    assert len(numbers) - len(acknowledged) <= 2 * THREADS  # those that were in flight
    history = History(database)
    for number, uuid, _ in answers:
        assert uuid == "-" or len(history.measurements(customer.id, uuid)) == 1, number
    with database.reading() as connection:
        assert not connection.execute(select(calls.c.id).where(calls.c.vhs.is_(None) | ~calls.c.billed)).all()
    # What was killed holds no lock, and the next call has the next number.
    next_call = Usage(database, Rates.model_validate({}))
    billing = next_call.charge(customer.id, "single", True, None, datetime.now(timezone.utc), Measurement(10.0, 2.0))
    assert billing.monthly_usage == len(numbers) + 1
