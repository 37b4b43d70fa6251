"""RECIST axes, 3D diameter, height and volume of a mask; usable alone."""

from imeasure_server.measurement.measure import measure
from imeasure_server.measurement.types import Cross, Measurements, Segment

__all__ = ["Cross", "Measurements", "Segment", "measure"]
