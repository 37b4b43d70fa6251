"""What every protocol tells of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal


class ModelType(str, Enum):
    """What a model does, as AIAA's ``config_aiaa.json`` and MONAI Label's ``/info/`` spell it."""

    SEGMENTATION = "segmentation"
    ANNOTATION = "annotation"  # DExtr3D
    DEEPGROW = "deepgrow"
    CLASSIFICATION = "classification"
    OTHERS = "others"
    PIPELINE = "pipeline"
    SCRIBBLES = "scribbles"


@dataclass(frozen=True)
class ModelDescription:
    """A model that can be asked for by name.

    Attributes:
        name: unique; letters, digits and ``_ . + -``.
        type: what it does.
        description: a sentence for the person who chooses.
        labels: label name to value in the mask, in the order of the values; the background is not among them.
        version: of the model.
        dimension: 3, or 2 for a model that looks at single slices.
        deepgrow: of a deepgrow model.
        padding: voxels of room that an annotation model wants around its extreme points, or None.
        roi: (x, y, z) voxels that an annotation model looks at, or None.
        licence: of weights that somebody else made; "" for ours.
        interactive: whether it takes MONAI Label's ``nninter`` prompts (points, boxes, scribbles, lassos).
        config: what ``/info/`` shows of its settings.
        internal_name: of AIAA's list; "" for none.
        repeatable: whether it answers the same question alike, so that its answers may be remembered.
    """

    name: str
    type: ModelType
    description: str
    labels: Mapping[str, int]
    version: str = "1"
    dimension: Literal[2, 3] = 3
    deepgrow: Literal["2d", "3d"] | None = None
    padding: float | None = None
    roi: tuple[int, int, int] | None = None
    licence: str = ""
    interactive: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    internal_name: str = ""
    repeatable: bool = True
