"""Where the frames of DICOM images lie: from single-frame headers and functional groups (PS3.3 C.7.6.2, C.7.6.16)."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pydicom

from imeasure_server.imaging.dicom_file import DicomFile
from imeasure_server.imaging.volume import FloatArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: a slice.

    Attributes:
        file, index: the file and which frame of it.
        position: LPS mm of the centre of its first pixel, or None when the file does not say.
        axes: 2x3, directions of a row and of a column (not normalised), or None.
        spacing: mm between columns and between rows.
        thickness: mm to the next slice as the file states it, or None.
        slope, intercept: stored value × slope + intercept = value.
        number: InstanceNumber, or the place among the frames of a multi-frame image.
    """

    file: DicomFile
    index: int
    position: FloatArray | None
    axes: FloatArray | None
    spacing: tuple[float, float]
    thickness: float | None
    slope: float
    intercept: float
    number: int


def frames_of(file: DicomFile) -> list[Frame]:
    """The frames of a file, in their order.

    Raises:
        ValueError, TypeError, KeyError, IndexError, AttributeError: elements hold what cannot be.
    """
    per_frame = file.dataset.get("PerFrameFunctionalGroupsSequence") or []
    return [_frame(file, index, per_frame[index] if index < len(per_frame) else None) for index in range(file.frames)]


def _frame(file: DicomFile, index: int, group: pydicom.Dataset | None) -> Frame:
    places = list(_places(file.dataset, group))
    spacing = _numbers(places, ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"), 2)
    position = _numbers(places, ("ImagePositionPatient",), 3)
    axes = _numbers(places, ("ImageOrientationPatient",), 6)
    rows, columns = (1.0, 1.0) if spacing is None or (spacing <= 0).any() else (float(n) for n in spacing)
    thickness = _numbers(places, ("SpacingBetweenSlices",), 1)
    if thickness is None or thickness[0] == 0:
        thickness = _numbers(places, ("SliceThickness",), 1)
    slope = _numbers(places, ("RescaleSlope",), 1)
    intercept = _numbers(places, ("RescaleIntercept",), 1)
    several = file.frames > 1
    return Frame(
        file,
        index,
        _frame_position(file, index, position, axes),
        None if axes is None else axes.reshape(2, 3),
        (columns, rows),
        abs(float(thickness[0])) or None if thickness is not None else None,
        float(slope[0]) if slope is not None and slope[0] != 0 else 1.0,
        float(intercept[0]) if intercept is not None else 0.0,
        index if several else int(file.dataset.get("InstanceNumber") or 0),
    )


def _frame_position(
    file: DicomFile, index: int, position: FloatArray | None, axes: FloatArray | None
) -> FloatArray | None:
    """Of a multi-frame image without functional groups: from the offsets of its frames, or their spacing."""
    dataset = file.dataset
    if position is None or axes is None or file.frames == 1 or "PerFrameFunctionalGroupsSequence" in dataset:
        return position
    normal = np.cross(axes[:3], axes[3:])
    offsets = dataset.get("GridFrameOffsetVector")  # radiotherapy doses
    if offsets is not None and len(offsets) == file.frames:
        return position + normal * (float(offsets[index]) - float(offsets[0]))
    spacing = dataset.get("SpacingBetweenSlices")  # reconstructed nuclear medicine
    return None if not spacing else position + normal * float(spacing) * index


def _places(dataset: pydicom.Dataset, group: pydicom.Dataset | None) -> Iterator[pydicom.Dataset]:
    """Where an element may stand, the most particular place first."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in ([group] if group is not None else [], shared[:1]):
        for macro in groups:
            for keyword in (
                "PlanePositionSequence",
                "PlaneOrientationSequence",
                "PixelMeasuresSequence",
                "PixelValueTransformationSequence",
            ):
                yield from (macro.get(keyword) or [])[:1]
    yield dataset
    yield from (dataset.get("DetectorInformationSequence") or [])[:1]


def _numbers(places: list[pydicom.Dataset], keywords: tuple[str, ...], count: int) -> FloatArray | None:
    """The first of the elements that is there and has ``count`` finite values."""
    for keyword in keywords:
        for place in places:
            value = place.get(keyword)
            if value is None or value == "":
                continue
            numbers = np.atleast_1d(np.array(value, dtype=np.float64))
            if numbers.shape == (count,) and np.isfinite(numbers).all():
                return numbers
    return None
