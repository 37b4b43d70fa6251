"""The answer of ``POST /seg``: its schema, and its making from a mask and its measurements."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from imeasure_server.api.seg_request import SegRequest
from imeasure_server.imaging.volume import BoolArray

if TYPE_CHECKING:
    from imeasure_server.measurement import Measurements, Segment

ResponsePoint = Annotated[list[float], Field(min_length=3, max_length=3)]
Triple = Annotated[list[int], Field(min_length=3, max_length=3)]


class MeasurementSegment(BaseModel):
    """A straight line in the patient."""

    coords_world: Annotated[list[ResponsePoint], Field(min_length=2, max_length=2)] = Field(
        description="LPS mm of both ends"
    )
    length_world: float = Field(description="mm")


class CrossMeasurement(BaseModel):
    """RECIST axes of one slice."""

    short: MeasurementSegment
    long: MeasurementSegment


class MeasurementsBody(BaseModel):
    cross: dict[str, CrossMeasurement] = Field(description="Keys are slice indices of the returned mask")
    diameter: MeasurementSegment | None = Field(None, description="Greatest distance within the object")
    height: MeasurementSegment | None = Field(None, description="Slices × spacing, along the slice normal")


class SegResponse(BaseModel):
    """Mask and measurements."""

    id: str
    mask: str = Field(description="Base64 of one byte (0 or 1) per voxel, X fastest")
    mask_shape: Triple
    mask_origin_voxel: Triple = Field(description="First voxel of the mask in the scan")
    mask_spacing: ResponsePoint = Field(description="mm")
    measurements: MeasurementsBody
    volume: int = Field(description="Voxels")
    volume_mm3: float


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    error: str = Field(description="One sentence for a person")
    code: str
    details: dict[str, Any] | None = Field(None, description="More about it; for VALIDATION_ERROR a list per field")


def encode_response(request: SegRequest, mask: BoolArray, measurements: Measurements) -> bytes:
    """The JSON of an answer.

    Args:
        request: that is answered.
        mask: (x, y, z) bool, of the crop's shape.
        measurements: of that mask.
    """
    body = {
        "id": request.id,
        "mask_shape": list(mask.shape),
        "mask_origin_voxel": list(request.origin_voxel),
        "mask_spacing": list(request.spacing),
        "measurements": _measurements(measurements),
        "volume": measurements.volume,
        "volume_mm3": measurements.volume_mm3,
    }
    # Base64 needs no escaping, so the mask, which is nearly all of the answer, is spared the JSON encoder.
    rest = json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
    return b"".join((b'{"mask":"', base64.b64encode(_x_fastest(mask).data), b'",', rest[1:]))


def _x_fastest(mask: BoolArray) -> npt.NDArray[np.uint8]:
    """(z, y, x) uint8 of 0 and 1; only the object's box is turned around, since most of a mask is background."""
    flat = np.zeros(mask.shape[::-1], dtype=np.uint8)
    columns = np.flatnonzero(mask.any(axis=(1, 2)))
    if columns.size:
        x = slice(columns[0], columns[-1] + 1)
        rows = np.flatnonzero(mask[x].any(axis=(0, 2)))
        y = slice(rows[0], rows[-1] + 1)
        flat[:, y, x] = mask[x, y].T
    return flat


def _measurements(measurements: Measurements) -> dict[str, Any]:
    content: dict[str, Any] = {
        "cross": {
            str(index): {"short": _line(cross.short), "long": _line(cross.long)}
            for index, cross in measurements.cross.items()
        }
    }
    for name, line in (("diameter", measurements.diameter), ("height", measurements.height)):
        if line is not None:
            content[name] = _line(line)
    return content


def _line(segment: Segment) -> dict[str, Any]:
    return {"coords_world": [list(segment.start), list(segment.end)], "length_world": segment.length}
