"""A process that charges calls, for tests that run several of them or kill them: ``charging_process.py JSON``.

It writes a line as soon as a call was acknowledged: ``number uuid billable`` (uuid ``-`` for none), in one write, so
that a killed process leaves whole lines.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
from datetime import datetime, timezone
from typing import Any

from imeasure_server.store.database import Database
from imeasure_server.store.rates import Rates
from imeasure_server.store.usage import Measurement, Usage


def main(url: str, key_id: int, uuids: list[str | None] | None, threads: int) -> None:
    """Charge each of ``uuids`` once, all at the same moment and each in its own thread; None: charge without end.

    It begins when a line arrives on standard input, so that several processes begin together.
    """
    database = Database(url)
    usage = Usage(database, Rates.model_validate({}))
    numbers = itertools.count(1)

    def charge(uuid: str | None) -> None:
        now = datetime.now(timezone.utc)
        billing = usage.charge(key_id, "single", True, uuid, now, Measurement(10.0, 2.0))
        line = f"{billing.monthly_usage} {uuid or '-'} {int(billing.billable)}\n"
        os.write(1, line.encode())

    def work(index: int) -> None:
        barrier.wait()
        if uuids is not None:
            charge(uuids[index])
            return
        for number in numbers:
            charge(f"{os.getpid()}-{number}" if number % 2 else None)

    barrier = threading.Barrier(threads)
    os.write(1, b"ready\n")
    sys.stdin.readline()
    started = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    database.close()


if __name__ == "__main__":
    given: dict[str, Any] = json.loads(sys.argv[1])
    main(**given)
