"""What was measured before in a patient of one customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from imeasure_server.store.database import Database
from imeasure_server.store.tables import calls
from imeasure_server.store.usage import patient_hash

MOST_ENTRIES = 1000


@dataclass(frozen=True)
class PastMeasurement:
    """One entry: the day in UTC as ``YYYY-MM-DD``, and vertebrae."""

    date: str
    vhs: float | None
    vlas: float | None


class History:
    """Reads what `Usage.charge` entered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def measurements(self, key_id: int, uuid: str | None, before: datetime | None = None) -> list[PastMeasurement]:
        """What this key measured for this uuid, oldest first; the newest 1,000. Rechecks are among them.

        Args:
            key_id: `KeyInfo.id`; nobody else's measurements are ever among them.
            uuid: of the patient; None or empty has no history.
            before: only what was measured earlier. To leave out the call at hand ask before charging it.

        Raises:
            StoreUnavailable: the database failed.
        """
        patient = patient_hash(uuid)
        if patient is None:
            return []
        wanted = select(calls.c.at, calls.c.vhs, calls.c.vlas).where(
            calls.c.key_id == key_id, calls.c.patient == patient, calls.c.vhs.is_not(None)
        )
        if before is not None:
            wanted = wanted.where(calls.c.at < before)
        newest = wanted.order_by(calls.c.at.desc(), calls.c.id.desc()).limit(MOST_ENTRIES)
        with self._database.reading() as connection:
            rows = connection.execute(newest).all()
        return [PastMeasurement(row.at.strftime("%Y-%m-%d"), row.vhs, row.vlas) for row in reversed(rows)]


def dated_values(measurements: list[PastMeasurement], name: str) -> list[list[str | float]]:
    """``[[date, value], …]`` of the contract; ``name`` is ``vhs`` or ``vlas``. Missing values are left out."""
    pairs = ((entry.date, getattr(entry, name)) for entry in measurements)
    return [[date, value] for date, value in pairs if value is not None]
