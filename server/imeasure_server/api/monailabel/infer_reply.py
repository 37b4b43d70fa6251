"""Answers of ``/infer/{model}``: a mask, what is said of it, or both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import Response
from fastapi.responses import JSONResponse

from imeasure_server.api.monailabel.devices import Device
from imeasure_server.api.monailabel.infer_request import InferRequest
from imeasure_server.api.monailabel.values import label_values
from imeasure_server.api.multipart_reply import multipart_reply
from imeasure_server.errors import ApiError, BadRequest
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.imaging.volume import LPS_TO_RAS, Geometry
from imeasure_server.models.inference import LabelArray
from imeasure_server.models.model_jobs import ModelOutcome

MIME_TYPES = {
    ".nii.gz": "application/gzip",
    ".nii": "application/octet-stream",
    ".nrrd": "application/octet-stream",
    ".seg.nrrd": "application/octet-stream",
}


@dataclass(frozen=True, eq=False)
class Answer:
    """What there is to say.

    Attributes:
        outcome: of the model.
        image: that it was asked about.
        params: JSON of the answer.
        headers: more headers.
    """

    outcome: ModelOutcome
    image: StoredImage
    params: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def on(self, device: Device) -> Answer:
        """The same, with what is to be said of the device."""
        return replace(self, params={**self.params, **device.params}, headers={**self.headers, **device.headers})


def interactive_params(
    wanted: InferRequest, prompt_info: Mapping[str, Any], elapsed: float, flipped: bool
) -> dict[str, Any]:
    """``params`` of OHIF-AI's contract; its page reads ``sam_elapsed`` where it sent ``nninter: false``."""
    params = {
        "prompt_info": dict(prompt_info),
        "nninter_elapsed": round(elapsed, 6),
        "flipped": flipped,
        "label_name": f"nninter_pred_{datetime.now():%Y%m%d%H%M%S}",
    }
    if wanted.params.get("nninter") is False:
        params["sam_elapsed"] = params["nninter_elapsed"]
    return params


def model_params(outcome: ModelOutcome, elapsed: float) -> dict[str, Any]:
    """``params`` of MONAI Label: what the model says, how long it took, and what the mask's values mean.

    All labels are named, also those without a voxel: Slicer takes the first name of its plugin for value 1, the second
    for value 2 (``vtkSlicerSegmentationsModuleLogic::ImportLabelmapToSegmentationNode``).
    """
    return {"label_names": dict(outcome.label_names), "latencies": {"total": round(elapsed, 6)}, **outcome.result}


def render(wanted: InferRequest, answer: Answer, ohif_layout: bool) -> Response:
    """The response. Blocks while the mask is encoded.

    Raises:
        ApiError: the mask cannot be written in the wanted form.
    """
    mask = answer.outcome.mask
    if wanted.output == "json" or (mask is None and wanted.output == "all"):
        return JSONResponse(dict(answer.params), headers=dict(answer.headers))
    if mask is None:
        raise BadRequest("This model makes no mask; ask for output=json.")
    if wanted.output == "dicom_seg":
        if ohif_layout and wanted.mode is not None:
            return _ohif_page(mask, answer)
        return _dicom_seg(wanted, mask, answer)
    content, extension = _file(wanted, mask, answer, ohif_layout)
    filename = f"segmentation{extension}"
    if wanted.output == "image":
        disposition = {"Content-Disposition": f'attachment; filename="{filename}"'}
        return Response(content, media_type=MIME_TYPES[extension], headers={**answer.headers, **disposition})
    return multipart_reply(answer.params, content, filename, MIME_TYPES[extension], headers=answer.headers)


def _file(wanted: InferRequest, mask: LabelArray, answer: Answer, ohif_layout: bool) -> tuple[bytes, str]:
    """The mask's file and its extension. OHIF-AI's contract has NIfTI of uint8 whatever is asked for."""
    volume = answer.image.volume
    if wanted.mode is not None:
        if ohif_layout:  # its own server's NIfTI: the [Z, Y, X] array, and an identity affine
            width, height, depth = mask.shape
            turned = Geometry(LPS_TO_RAS, (depth, height, width))
            return encode_label(_as_bytes(mask).T, turned, ".nii.gz"), ".nii.gz"
        return encode_label(_as_bytes(mask), Geometry(volume.affine, volume.shape), ".nii.gz"), ".nii.gz"
    extension = str(wanted.params.get("result_extension") or ".nii.gz").lower()
    extension = extension if extension.startswith(".") else f".{extension}"
    if extension not in MIME_TYPES:
        raise BadRequest(f"result_extension is one of {', '.join(MIME_TYPES)}.")
    try:
        content = encode_label(
            _typed(wanted, mask),
            Geometry(volume.affine, volume.shape),
            extension,
            compress=wanted.params.get("result_compress") is not False,
            label_names=answer.outcome.label_names,
        )
        return content, extension
    except ImageError as error:
        raise BadRequest(str(error)) from error


def _as_bytes(mask: LabelArray) -> npt.NDArray[np.uint8]:
    return mask.astype(np.uint8, copy=False)


def _typed(wanted: InferRequest, mask: LabelArray) -> LabelArray:
    """The mask as ``result_dtype``, if that can hold its values."""
    wanted_type = str(wanted.params.get("result_dtype", ""))
    if wanted_type == "uint16" and mask.dtype == np.uint8:
        return mask.astype(np.uint16)
    if wanted_type == "uint8" and mask.dtype == np.uint16 and mask.max(initial=0) <= np.iinfo(np.uint8).max:
        return mask.astype(np.uint8)
    return mask


def _dicom_seg(wanted: InferRequest, mask: LabelArray, answer: Answer) -> Response:
    """Raises:
    BadRequest: the image was no DICOM.
    """
    from imeasure_server.imaging.dicom_seg import encode_dicom_seg  # highdicom takes long to import

    if answer.image.headers is None:
        raise BadRequest("DICOM segmentations can be made of DICOM images only; ask for output=image or all.")
    names = label_values(wanted.params) or dict(answer.outcome.label_names)
    try:
        content = encode_dicom_seg(mask, names, answer.image)
    except ImageError as error:
        raise ApiError(422, "NO_DICOM_SEGMENTATION", str(error)) from error
    disposition = {"Content-Disposition": 'attachment; filename="segmentation.dcm"'}
    return Response(content, media_type="application/dicom", headers={**answer.headers, **disposition})


def _ohif_page(mask: LabelArray, answer: Answer) -> Response:
    """What OHIF-AI's page reads when it says ``output=dicom_seg``: JSON in strings, and bytes, x fastest."""
    params = answer.params
    meta = {
        "prompt_info": json.dumps(params["prompt_info"]),
        "flipped": json.dumps(params["flipped"]),
        "nninter_elapsed": json.dumps(params["nninter_elapsed"]),
        "sam_elapsed": json.dumps(params["nninter_elapsed"]),
        "label_name": params["label_name"],
    }
    content = _as_bytes(mask).tobytes(order="F")
    return multipart_reply(
        meta, content, "seg.bin", "application/octet-stream", "seg", headers=answer.headers, params_name="meta"
    )
