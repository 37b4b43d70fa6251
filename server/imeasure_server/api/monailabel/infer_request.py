"""What a request to ``/infer/{model}`` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

from fastapi import Request

from imeasure_server.api.monailabel.values import json_object
from imeasure_server.api.upload_form import Upload, UploadForm
from imeasure_server.errors import ApiError, BadRequest
from imeasure_server.models.description import ModelDescription

Output = Literal["image", "json", "all", "dicom_seg"]
OUTPUTS = ("image", "json", "all", "dicom_seg")


class Mode(Enum):
    """What OHIF-AI's ``nninter`` asks for."""

    INIT = "init"
    RESET = "reset"
    SEGMENT = "sam3"


_SEGMENT = frozenset(
    {"sam3", "sam2", "sam", "medsam2", "nninter", "nninteractive", "segment", "true", "false", "1", "0"}
)
"""``true`` is what one page sends for nnInteractive and ``false`` for SAM 2; which model runs is in the address."""


@dataclass(frozen=True)
class InferRequest:
    """A request, of whichever client.

    Attributes:
        output: what to answer.
        params: everything in ``params``.
        mode: of OHIF-AI's protocol, None in MONAI Label's own.
        image: id in the datastore, or "".
        session: id of a session, or "".
        file: the image, when it came along.
        label: to refine, or scribbles.
    """

    output: Output
    params: Mapping[str, Any]
    mode: Mode | None
    image: str = ""
    session: str = ""
    file: Upload | None = None
    label: Upload | None = None


def read_infer_request(request: Request, form: UploadForm, model: ModelDescription) -> InferRequest:
    """Collect what came in the query, the form and ``params``.

    Raises:
        ApiError: it cannot be understood.
    """
    fields = form_fields(request, form)
    output = fields.get("output") or "all"
    if output not in OUTPUTS:
        raise ApiError(422, "VALIDATION_ERROR", f"output is one of {', '.join(OUTPUTS)}.")
    params = json_object(_params_text(fields, form), "params")
    read = InferRequest(
        cast(Output, output),
        params,
        _mode(params, model),
        fields.get("image", ""),
        fields.get("session_id", ""),
        form.file("file", "image", "datapoint"),
        form.file("label"),
    )
    if read.file is None and not read.image and not read.session:
        raise BadRequest("Neither Image nor File not Session ID input is provided")
    return read


def form_fields(request: Request, form: UploadForm) -> dict[str, str]:
    """The text fields of the form, whatever its encoding, and of the query, which wins."""
    fields = dict(form.fields)
    if request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        fields.update(parse_qsl(form.body.decode("utf-8", "replace"), keep_blank_values=True))
    fields.update({name: value for name, value in request.query_params.items() if value})
    return fields


def _params_text(fields: Mapping[str, str], form: UploadForm) -> str:
    upload = form.file("params")
    if upload is None:
        return fields.get("params", "")
    return upload.path.read_text(encoding="utf-8", errors="replace")


def _mode(params: Mapping[str, Any], model: ModelDescription) -> Mode | None:
    """Raises:
    ApiError: an interactive model is asked without saying how.
    """
    value = params.get("nninter")
    if value is None:
        if model.interactive and not (params.get("foreground") or params.get("background")):
            raise ApiError(400, "MISSING_NNINTER", "KeyError: 'nninter'")
        return None
    name = str(value).strip().lower()
    if name in ("init", "reset"):
        return Mode(name)
    if name in _SEGMENT:
        return Mode.SEGMENT
    raise BadRequest('nninter is "init", "sam3" or "reset".')
