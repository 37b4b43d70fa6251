"""What a report of landmarks in the scene says. MRML, no Qt."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .drawing import drawingOf
from .picture import PictureError, encodePNG, halved, withSquarePixels
from .references import referenceFor
from .report import ReportContent
from .scene_nodes import BREED_ATTRIBUTE, PATIENT_ATTRIBUTE, pictureOf_, readMeasurement, vertebraeOf
from .volume_picture import isSpacingKnown, pictureOf

LONGEST_SIDE = 1800
"""Of the picture in a report: legible in print, and a file that can be sent by mail."""


def reportContent(landmarksNode: Any) -> ReportContent:
    """Raises PictureError or LandmarksError when there is nothing to report."""
    volume = pictureOf_(landmarksNode)
    if volume is None:
        raise PictureError("The picture of these landmarks is no longer in the scene.")
    measurement = readMeasurement(landmarksNode)
    assert measurement.points is not None, "a list of landmarks has points"
    pixels = withSquarePixels(pictureOf(volume)).pixels
    while max(pixels.shape[:2]) > LONGEST_SIDE:
        pixels = halved(pixels)
    height, width = pixels.shape[:2]
    breed = volume.GetAttribute(BREED_ATTRIBUTE) or ""
    return ReportContent(
        name=str(volume.GetName()),
        patient=str(volume.GetAttribute(PATIENT_ATTRIBUTE) or ""),
        breed=breed,
        date=datetime.now().astimezone().isoformat(sep=" ", timespec="minutes"),
        measurement=measurement,
        reference=referenceFor(breed),
        png=encodePNG(pixels),
        width=width,
        height=height,
        drawing=drawingOf(measurement.points, width, height, vertebraeOf(landmarksNode)),
        spacingKnown=isSpacingKnown(volume),
    )
