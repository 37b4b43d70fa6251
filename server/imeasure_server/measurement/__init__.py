"""Size of a segmented object: RECIST axes, 3D diameter, height and volume."""

from imeasure_server.measurement.measuring import measure
from imeasure_server.measurement.results import Cross, Measurements, Segment

__all__ = ["Cross", "Measurements", "Segment", "measure"]
