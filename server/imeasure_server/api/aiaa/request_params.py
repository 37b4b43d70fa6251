"""What AIAA clients write into ``params``: JSON, mostly; points as lists, or as strings that hold JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import yaml
from fastapi import Request

from imeasure_server.api.monailabel.prompts import read_prompts
from imeasure_server.api.monailabel.values import Roi, items, label_values, number, points, region
from imeasure_server.api.upload_form import MAX_TEXT_BYTES, UploadForm
from imeasure_server.errors import BadRequest
from imeasure_server.models.description import ModelDescription, ModelType
from imeasure_server.models.inference import LabelArray, ModelInputs, Point

MAX_YAML = 1 << 16
MAX_FIELDS = 100


def read_params(request: Request, form: UploadForm) -> dict[str, Any]:
    """The object in the part ``params``, or in a body of JSON; empty where there is none. A form without a file may
    come URL-encoded: its fields are put into ``form``.

    A shell takes the quotes out of ``-F "params={ "more_points": 10 }"``, a line of the contract: what is left is YAML.

    Raises:
        BadRequest: it is something else.
    """
    if form.body and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form.fields.update(parse_qsl(form.body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS))
    text = form.fields.get("params", "")
    sent = form.file("params")
    if sent is not None and sent.size <= MAX_TEXT_BYTES:  # ``curl -F params=@params.json``
        text = sent.path.read_text("utf-8", "replace")
    if not text.strip() and not form.fields and not form.files:
        text = form.body.decode("utf-8", "replace")
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _from_yaml(text)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("params is not a JSON object.")
    return value


def _from_yaml(text: str) -> Any:
    if len(text) > MAX_YAML or "&" in text or not text.lstrip().startswith("{"):  # an anchor could grow without bounds
        raise BadRequest("params is not valid JSON.")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BadRequest("params is not valid JSON.") from None


def text_option(request: Request, form: UploadForm, params: Mapping[str, Any], name: str) -> str:
    """An option of the query, or of the form or the params, where some clients put it; "" where there is none."""
    value = request.query_params.get(name) or form.fields.get(name) or params.get(name)
    return value.strip() if isinstance(value, str) else ""


def model_inputs(
    params: Mapping[str, Any], model: ModelDescription, slices: int, label: LabelArray | None
) -> ModelInputs:
    """What a model is given.

    Args:
        params: of the request.
        model: that is asked.
        slices: of the image; points of a single slice may have two coordinates.
        label: mask to refine, or scribbles.

    Raises:
        BadRequest: something is malformed; a sentence.
    """
    flat = slices == 1
    drawn = read_prompts(params, slices)
    current = _points(params, "current_point", flat)
    wanted = params.get("label")
    return ModelInputs(
        foreground=_points(params, "foreground", flat) + tuple(place for place, sign in drawn.points if sign),
        background=_points(params, "background", flat) + tuple(place for place, sign in drawn.points if not sign),
        extreme_points=_extreme_points(params, model, flat),
        current_point=current[-1] if current else None,
        boxes=tuple(drawn.boxes),
        lassos=tuple(drawn.lassos),
        scribbles=tuple(drawn.scribbles),
        label=label,
        label_info=label_values(params),
        roi=_crop(params) or region(params),
        label_name=wanted if isinstance(wanted, str) and wanted in model.labels else None,
        parameters=params,
    )


def _extreme_points(params: Mapping[str, Any], model: ModelDescription, flat: bool) -> tuple[Point, ...]:
    if model.type not in (ModelType.ANNOTATION, ModelType.PIPELINE):
        return ()
    return _points(params, "points", flat) or _points(params, "extreme_points", flat)


def _points(params: Mapping[str, Any], name: str, flat: bool) -> tuple[Point, ...]:
    values = items(params, name)
    if values and not any(isinstance(value, list) for value in values):
        values = [values]
    if flat:
        values = [[*value, 0] if isinstance(value, list) and len(value) == 2 else value for value in values]
    return points({name: values}, name)


def _crop(params: Mapping[str, Any]) -> Roi | None:
    """``[[x0, x1], [y0, y1], [z0, z1]]``, whose ends are exclusive as those of the client's slices are."""
    spans = items(params, "crop")
    if not spans:
        return None
    if len(spans) != 3 or not all(isinstance(span, list) and len(span) == 2 for span in spans):
        raise BadRequest("crop is [[x0, x1], [y0, y1], [z0, z1]].")
    (x0, x1), (y0, y1), (z0, z1) = ([round(number(value, "crop")) for value in span] for span in spans)
    return (x0, max(x0, x1 - 1)), (y0, max(y0, y1 - 1)), (z0, max(z0, z1 - 1))
