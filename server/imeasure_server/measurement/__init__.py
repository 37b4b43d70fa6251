"""Size of a segmented object: RECIST axes, 3D diameter, height and volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imeasure_server.measurement.results import Cross, Measurements, Segment

if TYPE_CHECKING:
    from imeasure_server.measurement.measuring import measure

__all__ = ["Cross", "Measurements", "Segment", "measure"]


def __getattr__(name: str) -> Any:
    """``measure`` is loaded when it is asked for: whoever only reads results does without SciPy (20 MiB)."""
    if name == "measure":
        from imeasure_server.measurement.measuring import measure

        return measure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
