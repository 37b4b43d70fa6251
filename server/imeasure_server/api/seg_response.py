"""The answer of ``POST /seg``: its schema, and its making from a mask and its measurements."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

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
