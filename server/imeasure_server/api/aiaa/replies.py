"""Answers of AIAA: a file, JSON, or both in one multipart body."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import Response
from fastapi.responses import JSONResponse

from imeasure_server.api.multipart_reply import multipart_reply
from imeasure_server.errors import BadRequest
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.imaging.volume import Geometry

MIME_TYPES = {
    ".nii.gz": "application/x-gzip",
    ".nii": "application/octet-stream",
    ".nrrd": "application/octet-stream",
    ".seg.nrrd": "application/octet-stream",
    ".png": "image/png",
}


class Output(Enum):
    """What is wanted. Clients never say; the lines of the contract do."""

    BOTH = "both"
    IMAGE = "image"
    RESULT = "result"

    @classmethod
    def parse(cls, text: str) -> Output:
        """Raises:
        BadRequest: there is no such output.
        """
        names = {"": cls.BOTH, "both": cls.BOTH, "all": cls.BOTH, "image": cls.IMAGE}
        names |= dict.fromkeys(("result", "results", "json", "params"), cls.RESULT)
        if text.lower() not in names:
            raise BadRequest("output is image, json, result or both.")
        return names[text.lower()]


def reply(
    output: Output,
    params: Mapping[str, Any],
    mask: npt.NDArray[np.integer[Any]] | None,
    image: StoredImage,
    options: Mapping[str, Any],
    label_names: Mapping[str, int] | None = None,
) -> Response:
    """The answer. Blocks while the mask is encoded.

    Args:
        output: what is wanted.
        params: JSON of the answer.
        mask: (x, y, z) of the image's shape, or None when there is none: then the answer is JSON.
        image: that was asked about; the answer has its geometry, and is a PNG where it was a picture.
        options: the client's params, of which ``result_extension`` and ``result_compress`` are looked at.
        label_names: name to value.

    Raises:
        BadRequest: there is no mask, or it cannot be written as that kind of file.
    """
    if output is Output.RESULT or (mask is None and output is Output.BOTH):
        return JSONResponse(dict(params))
    if mask is None:
        raise BadRequest("This model makes no image; ask for output=json.")
    extension = _extension(options, image)
    try:
        content = encode_label(
            mask,
            Geometry(image.volume.affine, image.volume.shape),
            extension,
            compress=options.get("result_compress") is not False,
            label_names=label_names,
        )
    except ImageError as error:
        raise BadRequest(str(error)) from error
    filename = f"result{extension}"
    if output is Output.IMAGE:
        disposition = {"Content-Disposition": f'attachment; filename="{filename}"'}
        return Response(content, media_type=MIME_TYPES[extension], headers=disposition)
    return multipart_reply(params, content, filename, MIME_TYPES[extension])


def _extension(options: Mapping[str, Any], image: StoredImage) -> str:
    usual = ".png" if image.format == "picture" else ".nii.gz"
    wanted = str(options.get("result_extension") or usual).lower()
    extension = f".{wanted.lstrip('.')}"
    if extension not in MIME_TYPES:
        raise BadRequest(f"result_extension is one of {', '.join(MIME_TYPES)}.")
    return extension
