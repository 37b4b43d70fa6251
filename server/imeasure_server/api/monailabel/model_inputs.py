"""From a request's ``params`` to what a model is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.api.monailabel.infer_request import InferRequest
from imeasure_server.api.monailabel.prompts import read_prompts
from imeasure_server.api.monailabel.values import label_values, points, region
from imeasure_server.datastore import BadItem
from imeasure_server.datastore.labels import read_raw_label
from imeasure_server.errors import BadRequest
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import read_label
from imeasure_server.imaging.label_grid import label_on_grid
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.imaging.volume import Geometry
from imeasure_server.models.description import ModelDescription, ModelType
from imeasure_server.models.inference import ModelInputs


@dataclass(frozen=True, eq=False)
class PreparedInputs:
    """What the model is given, and ``prompt_info`` of the answer."""

    inputs: ModelInputs
    prompt_info: Mapping[str, list[Any]]


def prepare(request: InferRequest, image: StoredImage, model: ModelDescription, ohif_layout: bool) -> PreparedInputs:
    """Read prompts and label. Blocks while the label is read.

    Raises:
        BadRequest: something in them is malformed; a sentence.
    """
    params = request.params
    prompts = read_prompts(params, image.volume.shape[2], from_the_end=ohif_layout and image.flipped)
    wanted = params.get("label")
    current = points(params, "current_point")
    inputs = ModelInputs(
        foreground=points(params, "foreground") + tuple(place for place, sign in prompts.points if sign),
        background=points(params, "background") + tuple(place for place, sign in prompts.points if not sign),
        extreme_points=_extreme_points(params, model),
        current_point=current[-1] if current else None,
        boxes=tuple(prompts.boxes),
        lassos=tuple(prompts.lassos),
        scribbles=tuple(prompts.scribbles),
        label=None if request.label is None else _label(request.label.path, request.label.name, image),
        label_info=label_values(params),
        roi=region(params),
        label_name=wanted if isinstance(wanted, str) and wanted in model.labels else None,
        parameters=params,
    )
    return PreparedInputs(inputs, prompts.echo)


def _extreme_points(params: Mapping[str, Any], model: ModelDescription) -> tuple[tuple[float, float, float], ...]:
    if model.type is not ModelType.ANNOTATION:
        return ()
    return points(params, "extreme_points") or points(params, "points") or points(params, "foreground")


def _label(path: Path, name: str, image: StoredImage) -> npt.NDArray[np.integer[Any]]:
    """The label's values on the image's voxels."""
    geometry = Geometry(image.volume.affine, image.volume.shape)
    try:
        if name.lower().endswith(".bin"):
            return read_raw_label(path, geometry.shape)
        return label_on_grid(read_label(path, name), geometry)
    except (BadItem, ImageError) as error:
        raise BadRequest(f"The label cannot be used: {error}") from error
