"""``/datastore``: the images of the studies folder and their labels."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask

from imeasure_server.api.monailabel.failures import datastore_errors
from imeasure_server.api.monailabel.infer_request import form_fields
from imeasure_server.api.monailabel.values import json_object
from imeasure_server.api.resources import datastore_of, settings_of
from imeasure_server.api.upload_form import UploadForm, receive_form, uploads_folder
from imeasure_server.datastore.names import FINAL
from imeasure_server.errors import ApiError, BadRequest

OUTPUTS = ("stats", "all", "train")
Text = Annotated[str, Query()]
Result = TypeVar("Result")

router = APIRouter(tags=["MONAI Label"])


async def _do(work: Callable[..., Result], *arguments: Any) -> Result:
    """Run what blocks; its errors become answers."""
    with datastore_errors():
        return await asyncio.to_thread(partial(work, *arguments))


@router.get("/datastore/", summary="What the studies folder holds")
@router.get("/datastore", include_in_schema=False)
async def datastore(request: Request, output: Text = "stats") -> Any:
    """``output``: ``stats`` (numbers), ``all`` (every image with its labels), ``train`` (pairs of image and label)."""
    if output not in OUTPUTS:
        raise ApiError(422, "VALIDATION_ERROR", f"output is one of {', '.join(OUTPUTS)}.")
    store = datastore_of(request)
    if output == "all":
        return await _do(store.json)
    if output == "train":
        return await _do(_pairs, request)
    return await _do(store.status)


def _pairs(request: Request) -> list[dict[str, str]]:
    """Images and their final labels, as paths within the folder: where it lies is nobody's business."""
    store = datastore_of(request)
    return [
        {
            "image": item.image.files[0].relative_to(store.folder).as_posix(),
            "label": item.labels[FINAL].relative_to(store.folder).as_posix(),
        }
        for item in store.list().values()
        if item.is_completed
    ]


# Images


@router.put("/datastore/image", summary="Upload an image")
@router.put("/datastore/image/", include_in_schema=False)
@router.put("/datastore/", include_in_schema=False)
@router.put("/datastore", include_in_schema=False)
async def put_image(request: Request) -> dict[str, str]:
    """The part ``file``; ``image`` in the query is its id, by default the stem of the file's name."""
    async with receive_form(request) as form:
        fields = form_fields(request, form)
        upload = form.file("file", "image", "datapoint")
        if upload is None:
            raise ApiError(422, "VALIDATION_ERROR", "The form has no part named file with the image in it.")
        info = json_object(fields.get("params", ""), "params")
        add = datastore_of(request).add_image
        return {"image": await _do(add, upload.path, upload.name, upload.sha256, fields.get("image"), info)}


@router.get("/datastore/image", summary="Download an image", response_class=FileResponse)
@router.get("/datastore/image/", include_in_schema=False)
async def get_image(request: Request, image: Text) -> Response:
    """The file as it lies in the folder; a DICOM series as NIfTI."""
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, dir=uploads_folder(settings_of(request).workspace))
    try:
        path = await _do(datastore_of(request).image_file, image, Path(folder.name))
    except BaseException:
        folder.cleanup()
        raise
    return _download(path, BackgroundTask(folder.cleanup))


@router.head("/datastore/image", summary="Whether there is such an image")
@router.head("/datastore/image/", include_in_schema=False)
async def head_image(request: Request, image: Text, check_sum: Text = "") -> Response:
    """``check_sum`` is ``SHA256:HEX``: then the image must also have these bytes."""
    found = await _do(datastore_of(request).find, image)
    if check_sum:
        algorithm, _, wanted = check_sum.rpartition(":")
        actual = await asyncio.to_thread(_checksum, found.image.files[0], algorithm or "SHA256")
        if found.image.is_converted or actual != wanted.lower():
            raise ApiError(404, "NOT_FOUND", "The image has another checksum.")
    return JSONResponse({})


@router.delete("/datastore/image", summary="Delete an image and its labels")
@router.delete("/datastore/image/", include_in_schema=False)
@router.delete("/datastore/", include_in_schema=False)
@router.delete("/datastore", include_in_schema=False)
async def delete_image(request: Request, id: Text) -> dict[str, str]:
    """``id`` as in the listing."""
    await _do(datastore_of(request).remove_image, id)
    return {}


@router.get("/datastore/image/info", summary="What is known of an image")
async def get_image_info(request: Request, image: Text) -> dict[str, Any]:
    """As in the listing."""
    return (await _do(datastore_of(request).find, image)).info


@router.put("/datastore/image/info", summary="Add to what is known of an image")
async def put_image_info(request: Request, image: Text) -> None:
    """``info`` is a JSON object."""
    async with receive_form(request) as form:
        info = json_object(form_fields(request, form).get("info", ""), "info")
    await _do(datastore_of(request).update_image_info, image, info)


# Labels


@router.put("/datastore/label", summary="Submit a label")
@router.put("/datastore/label/", include_in_schema=False)
async def put_label(request: Request, image: Text, tag: Text = FINAL) -> dict[str, str]:
    """The part ``label`` becomes the image's label of this tag, whole or not at all."""
    async with receive_form(request) as form:
        upload = form.file("label", "file")
        if upload is None:
            raise ApiError(422, "VALIDATION_ERROR", "The form has no part named label with the label in it.")
        info = json_object(_params(request, form), "params")
        save = datastore_of(request).save_label
        label = await _do(save, image, upload.path, upload.name, tag or FINAL, info)
    return {"image": image, "label": label}


@router.get("/datastore/label", summary="Download a label", response_class=FileResponse)
@router.get("/datastore/label/", include_in_schema=False)
async def get_label(request: Request, label: Text, tag: Text = FINAL) -> Response:
    """The file as it was submitted."""
    return _download(await _do(datastore_of(request).label_file, label, tag))


@router.head("/datastore/label", summary="Whether there is such a label")
@router.head("/datastore/label/", include_in_schema=False)
async def head_label(request: Request, image: Text = "", label: Text = "", tag: Text = FINAL) -> Response:
    """Its id is that of its image."""
    await _do(datastore_of(request).label_file, image or label, tag)
    return JSONResponse({})


@router.delete("/datastore/label", summary="Delete a label")
@router.delete("/datastore/label/", include_in_schema=False)
async def delete_label(request: Request, id: Text, tag: Text) -> dict[str, str]:
    """The image stays."""
    await _do(datastore_of(request).remove_label, id, tag)
    return {}


@router.get("/datastore/label/info", summary="What is known of a label")
async def get_label_info(request: Request, label: Text, tag: Text) -> dict[str, Any]:
    """As in the listing."""
    found = await _do(datastore_of(request).find, label)
    await _do(datastore_of(request).label_file, label, tag)
    return dict(found.label_infos[tag])


@router.put("/datastore/label/info", summary="Add to what is known of a label")
@router.put("/datastore/updatelabelinfo", include_in_schema=False)
@router.put("/datastore/updatelabelinfo/", include_in_schema=False)
async def put_label_info(request: Request, label: Text, tag: Text) -> None:
    """``info`` (or ``params``, at the old address) is a JSON object."""
    async with receive_form(request) as form:
        fields = form_fields(request, form)
        info = json_object(fields.get("info") or fields.get("params", ""), "info")
    await _do(datastore_of(request).update_label_info, label, tag, info)


@router.get("/datastore/dataset", include_in_schema=False)
@router.get("/datastore/dataset/", include_in_schema=False)
async def get_dataset() -> Response:
    """Not offered: the folder itself is the data set."""
    raise ApiError(404, "NOT_FOUND", "This server does not archive its studies folder; copy the folder.")


def _params(request: Request, form: UploadForm) -> str:
    return form_fields(request, form).get("params", "")


def _download(path: Path, background: BackgroundTask | None = None) -> Response:
    media_type = "application/gzip" if path.name.endswith(".gz") else mimetypes.guess_type(path.name)[0]
    return FileResponse(
        path, media_type=media_type or "application/octet-stream", filename=path.name, background=background
    )


def _checksum(path: Path, algorithm: str) -> str:
    """Raises:
    BadRequest: there is no such algorithm.
    """
    if algorithm.lower() not in ("md5", "sha1", "sha256", "sha512"):
        raise BadRequest("check_sum is SHA256:HEX, MD5:HEX, SHA1:HEX or SHA512:HEX.")
    digest = hashlib.new(algorithm.lower(), usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
