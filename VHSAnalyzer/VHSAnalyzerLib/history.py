"""Earlier measurements of a patient, as the server keeps them, with the present one at the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from .answers import Answer


@dataclass(frozen=True)
class HistoryRow:
    """One day's numbers.

    Attributes:
        day: ISO date.
        daysSinceFirst: 0 for the earliest row.
        vhs, vlas: None where not measured.
    """

    day: str
    daysSinceFirst: int
    vhs: float | None
    vlas: float | None


def historyRows(answer: Answer | None) -> tuple[HistoryRow, ...]:
    """The server's history and its present answer, the earliest first; dates that are none are left out."""
    if answer is None:
        return ()
    entries = _paired(answer)
    if answer.vhs is not None and answer.analysedAt:
        entries.append((answer.analysedAt[:10], answer.vhs, answer.vlas))
    dated = [(_day(text), vhs, vlas) for text, vhs, vlas in entries]
    known = sorted(((day, vhs, vlas) for day, vhs, vlas in dated if day is not None), key=lambda entry: entry[0])
    return tuple(HistoryRow(day.isoformat(), (day - known[0][0]).days, vhs, vlas) for day, vhs, vlas in known)


def _paired(answer: Answer) -> list[tuple[str, float | None, float | None]]:
    """VHS and VLAS of the same measurement side by side: the two lists have the same order, VLAS may lack some."""
    rows: list[tuple[str, float | None, float | None]] = []
    waiting = list(answer.historicVLAS)
    for text, vhs in answer.historicVHS:
        match = next((entry for entry in waiting if entry[0] == text), None)
        if match is not None:
            waiting.remove(match)
        rows.append((text, vhs, match[1] if match is not None else None))
    return rows + [(text, None, vlas) for text, vlas in waiting]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
