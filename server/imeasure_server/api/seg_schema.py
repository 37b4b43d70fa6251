"""The metadata part of ``POST /seg``: its fields, and what is said about a wrong one.

The model is the one description of the fields: requests are checked against it, and the OpenAPI schema is made from it.
Messages are in the words of the contract's examples, which are marshmallow's.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

MAX_MILLIMETRES = 1e6
MIN_SPACING_MM = 1e-3  # smaller ones make the voxel-to-world matrix singular
MAX_VOXELS_PER_AXIS = 65_536
MAX_CLICKS = 1_000
MAX_STROKES = 256
MAX_STROKE_POINTS = 10_000

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PydanticCustomError("number", "Not a valid number.")
    if isinstance(value, int) and abs(value) > 10**15:  # too long for a float, or for anything measured
        raise PydanticCustomError("number", "Not a valid number.")
    if not math.isfinite(value):
        raise PydanticCustomError("number", "Not a valid number.")
    return float(value)


def _large_enough(spacing: float) -> float:
    if spacing < MIN_SPACING_MM:
        raise PydanticCustomError("spacing", "Must be greater than or equal to {minimum}.", {"minimum": MIN_SPACING_MM})
    return spacing


def _integer(value: Any) -> int:
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if isinstance(number, float) and not number.is_integer():
        raise PydanticCustomError("integer", "Not a valid integer.")
    return int(number)


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise PydanticCustomError("uuid", "Not a valid UUID.")
    return value


def _click_kind(value: Any) -> str | None:
    if isinstance(value, dict | InteractiveClick):
        return "interactive"
    return "static" if isinstance(value, list | tuple) else None


# Constraints come before the validator so that they are part of the JSON schema too.
Millimetres = Annotated[float, Field(ge=-MAX_MILLIMETRES, le=MAX_MILLIMETRES), BeforeValidator(_number)]
Hounsfield = Annotated[float, Field(ge=-1e6, le=1e6), BeforeValidator(_number)]
Spacing = Annotated[float, Field(gt=0, le=1e3), BeforeValidator(_number), AfterValidator(_large_enough)]
Cosine = Annotated[float, Field(ge=-1.001, le=1.001), BeforeValidator(_number)]
Slope = Annotated[float, Field(gt=0, le=1e4), BeforeValidator(_number)]
VoxelIndex = Annotated[int, Field(ge=-MAX_VOXELS_PER_AXIS, le=MAX_VOXELS_PER_AXIS), BeforeValidator(_integer)]
VoxelCount = Annotated[int, Field(gt=0, le=MAX_VOXELS_PER_AXIS), BeforeValidator(_integer)]
Three = Field(min_length=3, max_length=3)
Pair = Field(min_length=2, max_length=2)
Point3 = Annotated[list[Millimetres], Three]
Index3 = Annotated[list[VoxelIndex], Three]


class InteractiveClick(BaseModel):
    """One step of the interaction."""

    mode: Literal["positive", "negative"] = Field(description="positive: the object is here; negative: it is not")
    points: Annotated[list[Point3], Field(min_length=1, max_length=MAX_CLICKS)] = Field(
        description="LPS mm. Two points of one positive step are the ends of the object's longest diameter."
    )


Click = Annotated[
    Annotated[Point3, Tag("static")] | Annotated[InteractiveClick, Tag("interactive")],
    Discriminator(
        _click_kind,
        custom_error_type="click",
        custom_error_message="Not a valid click: send a point, or an object with mode and points.",
    ),
]


class SegMetadata(BaseModel):
    """What the client tells about the crop that it sends, and what the person said. Unknown fields are ignored."""

    id: Annotated[str, BeforeValidator(_uuid), Field(json_schema_extra={"format": "uuid"})] = Field(
        description="UUID of this request, returned in the answer"
    )
    finding_id: Annotated[str, Field(strict=True, min_length=1, max_length=200)] | None = Field(
        None, description="The finding that is refined, when there is one"
    )
    clicks: Annotated[list[Click], Field(max_length=MAX_CLICKS)] = Field(
        description="LPS mm, oldest first. Static form: points; interactive form: steps. "
        "Empty only when there is a pen stroke."
    )
    magic_pen_points: (
        Annotated[
            list[Annotated[list[Point3], Field(min_length=3, max_length=MAX_STROKE_POINTS)]],
            Field(max_length=MAX_STROKES),
        ]
        | None
    ) = Field(None, description="Pen contours in LPS mm, oldest first, each on one axial plane")
    world_origin: Point3 = Field(description="LPS mm of the centre of voxel (0, 0, 0) of the whole scan")
    world_shape: Annotated[list[VoxelCount], Three] = Field(description="Voxels of the whole scan along x, y and z")
    world_spacing: Annotated[list[Spacing], Three] = Field(description="Voxel size in mm")
    rescale_intercept: Hounsfield = Field(description="HU = stored × slope + intercept")
    rescale_slope: Slope
    image_orientation_patient: Annotated[list[Cosine], Field(min_length=6, max_length=6)] = Field(
        description="LPS unit vectors of the x axis, then of the y axis"
    )
    crop_boundaries_world: Annotated[list[Point3], Pair] = Field(description="LPS mm of the two corner voxels")
    crop_boundaries_voxel: Annotated[list[Index3], Pair] = Field(description="First and last voxel of the crop")
    crop_boundaries_unclipped_voxel: Annotated[list[Index3], Pair] = Field(
        description="The same before clipping to the scan; at least 64×64×16 voxels"
    )
    crop_cuboid_center_voxel: Annotated[list[Millimetres], Three] = Field(description="Middle of the crop")
    shape: Annotated[list[VoxelCount], Three] = Field(description="Voxels of the crop along x, y and z")
    world_bounding_image_positions: Annotated[list[Point3], Pair] = Field(
        description="LPS mm of the first voxel of the first and of the last image, in either order"
    )
    image_count: VoxelCount = Field(description="Slices in the scan")


FieldErrors = dict[str, list[str]]

_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(annotation)
    for name, annotation in get_type_hints(SegMetadata, include_extras=True).items()
    if name in SegMetadata.model_fields
}


def validate_fields(content: dict[str, Any]) -> tuple[dict[str, Any], FieldErrors]:
    """Check each field by itself, so that every wrong one can be named in one answer.

    Args:
        content: the JSON object.

    Returns:
        the values of the fields that are right, and messages about those that are not.
    """
    values: dict[str, Any] = {}
    errors: FieldErrors = {}
    for name, field in SegMetadata.model_fields.items():
        if name not in content:
            if field.is_required():
                errors[name] = ["Missing data for required field."]
            else:
                values[name] = field.default
            continue
        if content[name] is None and field.is_required():
            errors[name] = ["Field may not be null."]
            continue
        try:
            values[name] = _ADAPTERS[name].validate_python(content[name])
        except ValidationError as error:
            errors[name] = _messages(error)
    return values, errors


def _messages(error: ValidationError, limit: int = 10) -> list[str]:
    """At most ``limit`` messages, each once, with the place inside the field where it helps."""
    messages: dict[str, None] = {}
    for detail in error.errors(include_url=False, include_context=True, include_input=False):
        place = ".".join(str(part) for part in detail["loc"] if part not in ("static", "interactive"))
        sentence = _sentence(detail)
        messages[f"{place}: {sentence}" if place else sentence] = None
        if len(messages) >= limit:
            break
    return list(messages)


def _sentence(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case "missing":
            return "Missing data for required field."
        case "list_type":
            return "Not a valid list."
        case "string_type":
            return "Not a valid string."
        case "literal_error":
            return "Must be one of: positive, negative."
        case "too_short" | "string_too_short":
            return f"Shorter than minimum length {context['min_length']}."
        case "too_long" | "string_too_long":
            return f"Longer than maximum length {context['max_length']}."
        case "greater_than":
            return f"Must be greater than {context['gt']:g}."
        case "greater_than_equal":
            return f"Must be greater than or equal to {context['ge']:g}."
        case "less_than_equal":
            return f"Must be less than or equal to {context['le']:g}."
        case "model_type" | "model_attributes_type" | "dict_type":
            return "Not a valid object."
        case _:
            return detail["msg"]
