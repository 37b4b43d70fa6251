"""A finding: what was measured and how it was asked for; its JSON, and CSV and JSON tables of several."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .geometry import VolumeGeometry
from .prompts import PromptHistory, asPoint

VERSION = 1
"""Of the JSON form."""

Color = tuple[float, float, float]


class FindingError(ValueError):
    """A finding that cannot be read."""


@dataclass(frozen=True)
class MeasuredLine:
    """A straight measurement.

    Attributes:
        start, end: local RAS mm.
        length: mm.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    length: float

    def toDict(self) -> dict[str, Any]:
        return {"start": list(self.start), "end": list(self.end), "length": self.length}

    @classmethod
    def fromDict(cls, data: dict[str, Any]) -> MeasuredLine:
        return cls(asPoint(data["start"]), asPoint(data["end"]), float(data["length"]))


@dataclass(frozen=True)
class Cross:
    """RECIST axes on one slice."""

    long: MeasuredLine
    short: MeasuredLine


@dataclass(frozen=True)
class Measurements:
    """What the server measured.

    Attributes:
        crosses: slice of the *volume* (k index) → axes; every slice that the mask touches.
        diameter: greatest distance in 3D.
        height: extent across the slices.
        volume: number of voxels.
        volumeMM3: in mm³.
    """

    crosses: dict[int, Cross] = field(default_factory=dict)
    diameter: MeasuredLine | None = None
    height: MeasuredLine | None = None
    volume: int = 0
    volumeMM3: float = 0.0

    @property
    def bestSlice(self) -> int | None:
        """The slice with the longest long axis (the lowest of equals); None without any."""
        if not self.crosses:
            return None
        return max(sorted(self.crosses), key=lambda k: self.crosses[k].long.length)

    @property
    def long(self) -> MeasuredLine | None:
        """Long axis on the best slice."""
        best = self.bestSlice
        return None if best is None else self.crosses[best].long

    @property
    def short(self) -> MeasuredLine | None:
        """Short axis on the best slice."""
        best = self.bestSlice
        return None if best is None else self.crosses[best].short

    def toDict(self) -> dict[str, Any]:
        return {
            "crosses": {
                str(k): {"long": cross.long.toDict(), "short": cross.short.toDict()}
                for k, cross in sorted(self.crosses.items())
            },
            "diameter": self.diameter.toDict() if self.diameter else None,
            "height": self.height.toDict() if self.height else None,
            "volume": self.volume,
            "volume_mm3": self.volumeMM3,
        }

    @classmethod
    def fromDict(cls, data: dict[str, Any]) -> Measurements:
        crosses = {
            int(k): Cross(MeasuredLine.fromDict(cross["long"]), MeasuredLine.fromDict(cross["short"]))
            for k, cross in data["crosses"].items()
        }
        diameter, height = (
            MeasuredLine.fromDict(data[key]) if data.get(key) else None for key in ("diameter", "height")
        )
        return cls(crosses, diameter, height, int(data["volume"]), float(data["volume_mm3"]))


@dataclass(frozen=True)
class Finding:
    """One finding. Name, colour and visibility are those of its segment at the time of reading.

    Attributes:
        id: UUID.
        name: of the segment.
        history: prompts that made it, local RAS mm.
        measurements: None when they are not known (the mask was changed by other means).
        color: red, green, blue in 0 to 1.
        visible: whether it is shown.
    """

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    name: str = ""
    history: PromptHistory = field(default_factory=PromptHistory)
    measurements: Measurements | None = None
    color: Color = (1.0, 1.0, 0.0)
    visible: bool = True

    def with_(self, **changes: Any) -> Finding:
        """A copy with other values."""
        return replace(self, **changes)

    def toDict(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "id": self.id,
            "name": self.name,
            "prompts": self.history.toDict(),
            "measurements": self.measurements.toDict() if self.measurements else None,
            "color": list(self.color),
            "visible": self.visible,
        }

    def toJSON(self) -> str:
        return json.dumps(self.toDict(), separators=(",", ":"))

    @classmethod
    def fromDict(cls, data: dict[str, Any]) -> Finding:
        """Read ``toDict``'s form; FindingError when it is something else or of a newer version."""
        try:
            if int(data["version"]) > VERSION:
                raise FindingError("This finding was written by a newer IMeasure. Update the extension to read it.")
            measurements = data["measurements"]
            red, green, blue = (float(value) for value in data["color"])
            return cls(
                id=str(data["id"]),
                name=str(data["name"]),
                history=PromptHistory.fromDict(data["prompts"]),
                measurements=Measurements.fromDict(measurements) if measurements else None,
                color=(red, green, blue),
                visible=bool(data["visible"]),
            )
        except FindingError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FindingError("This finding is damaged.") from error

    @classmethod
    def fromJSON(cls, text: str) -> Finding:
        try:
            data = json.loads(text)
        except ValueError as error:
            raise FindingError("This finding is damaged.") from error
        return cls.fromDict(data)


@dataclass(frozen=True)
class FindingRow:
    """A line of the table of findings and of the exports.

    Attributes:
        slice: number of the volume's slice with the longest axis, counted from 1 as a person does.
        Lengths are in mm, the volume in mm³; None where not known.
    """

    id: str
    name: str
    slice: int | None
    longAxis: float | None
    shortAxis: float | None
    diameter: float | None
    height: float | None
    volume: float | None
    voxels: int | None

    @classmethod
    def of(cls, finding: Finding, geometry: VolumeGeometry | None = None) -> FindingRow:
        """The row of a finding.

        Args:
            geometry: of the volume as it is now. A volume may come back from a file with its slices in another order;
                the position of the axis tells the slice all the same.
        """
        m = finding.measurements
        best = m.bestSlice if m else None
        if geometry is not None and m is not None and m.long is not None:
            best = geometry.sliceOf(np.mean([m.long.start, m.long.end], axis=0))
        return cls(
            id=finding.id,
            name=finding.name,
            slice=None if best is None else best + 1,
            longAxis=_length(m.long if m else None),
            shortAxis=_length(m.short if m else None),
            diameter=_length(m.diameter if m else None),
            height=_length(m.height if m else None),
            volume=m.volumeMM3 if m else None,
            voxels=m.volume if m else None,
        )


def _length(line: MeasuredLine | None) -> float | None:
    return None if line is None else line.length


COLUMNS = (
    "Name",
    "Slice",
    "Long axis (mm)",
    "Short axis (mm)",
    "3D diameter (mm)",
    "Height (mm)",
    "Volume (mm³)",
    "Voxels",
    "Id",
)
"""Headers of the CSV; slices count from 1."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def spreadsheetSafe(text: str) -> str:
    """Text that a spreadsheet will not take for a formula (OWASP: CSV injection)."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def toCSV(findings: Iterable[Finding | FindingRow]) -> str:
    """RFC 4180 text of findings or their rows, a header first, lines ending in CR LF."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in findings:
        row = item if isinstance(item, FindingRow) else FindingRow.of(item)
        numbers = [row.longAxis, row.shortAxis, row.diameter, row.height, row.volume]
        cells = ["" if value is None else f"{value:.2f}" for value in numbers]
        whole = ["" if value is None else str(value) for value in (row.slice, row.voxels)]
        writer.writerow([spreadsheetSafe(row.name), whole[0], *cells, whole[1], row.id])
    return text.getvalue()


def toJSONTable(findings: Sequence[Finding], volumeName: str = "") -> str:
    """JSON of all findings with prompts and measurements; lengths in mm, coordinates in the volume's own RAS."""
    table = {
        "format": "IMeasure findings",
        "version": VERSION,
        "units": {"length": "mm", "volume": "voxels", "volume_mm3": "mm³"},
        "coordinates": "RAS of the volume, before its parent transform; slices count from 0",
        "volume": volumeName,
        "findings": [finding.toDict() for finding in findings],
    }
    return json.dumps(table, indent=2, ensure_ascii=False)
