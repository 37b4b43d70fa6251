"""``/admin/model/{name}`` of AIAA: look at a model's config, add, change and take out models while the server runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from imeasure_server.api.admin_access import require_admin
from imeasure_server.api.resources import models_of
from imeasure_server.api.upload_form import UploadForm, receive_form
from imeasure_server.errors import BadRequest
from imeasure_server.models.config.aiaa import MAX_CONFIG_BYTES, decode_config
from imeasure_server.models.config.problems import ConfigError

router = APIRouter(prefix="/admin/model", tags=["AIAA admin"], dependencies=[Depends(require_admin)])

_CONFIG_SCHEMA = {"type": "object", "description": "config_aiaa.json, as Clara Train 4.x describes it"}
_PUT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "config": _CONFIG_SCHEMA,
                        "data": {
                            "type": "string",
                            "format": "binary",
                            "description": "TorchScript, weights, or a zip of a MONAI bundle or MMAR",
                        },
                    },
                }
            },
            "application/json": {"schema": _CONFIG_SCHEMA},
        },
    }
}
_PATCH_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _CONFIG_SCHEMA}}}}


@router.get("")
@router.get("/", include_in_schema=False)
async def list_models(request: Request) -> dict[str, Any]:
    """Every model's name, and the folders that cannot be used with the reason."""
    models = models_of(request)
    return {"models": [model.name for model in models.list()], "problems": dict(models.problems)}


@router.get("/{name}")
@router.get("/{name}/", include_in_schema=False)
async def get_model(request: Request, name: str) -> dict[str, Any]:
    """The config of a model."""
    return models_of(request).config(name)


@router.put("/{name}", openapi_extra=_PUT_BODY)
@router.put("/{name}/", include_in_schema=False)
async def put_model(request: Request, name: str) -> dict[str, Any]:
    """Add a model or replace one. It serves once a worker has loaded it; until then, and if that fails, the old one."""
    async with receive_form(request) as form:
        data = form.file("data")
        await models_of(request).put(name, _config(form, data is not None), None if data is None else data.path)
    return models_of(request).config(name)


@router.patch("/{name}", openapi_extra=_PATCH_BODY)
@router.patch("/{name}/", include_in_schema=False)
async def patch_model(request: Request, name: str) -> dict[str, Any]:
    """Give a model another config; its data stay."""
    async with receive_form(request) as form:
        await models_of(request).patch(name, _config(form, False))
    return models_of(request).config(name)


@router.delete("/{name}")
@router.delete("/{name}/", include_in_schema=False)
async def delete_model(request: Request, name: str) -> dict[str, Any]:
    """Take a model out. Requests under way finish."""
    await models_of(request).delete(name)
    return {"model": name, "deleted": True}


def _config(form: UploadForm, may_lack: bool) -> dict[str, Any]:
    """The config that was sent: a part of that name, as a file or as text, or the whole body.

    Raises:
        BadRequest: there is none, or it is no JSON object.
    """
    sent = form.file("config")
    if sent is not None:
        if sent.size > MAX_CONFIG_BYTES:
            raise BadRequest("The part config is too large for a config.")
        content = sent.path.read_bytes()
    elif "config" in form.fields:
        content = form.fields["config"].encode()
    else:
        content = form.body
    if not content.strip():
        if may_lack:
            return {}  # a bundle or an MMAR brings its own
        raise BadRequest("The config is missing: send it as the part config of a form, or as a JSON body.")
    try:
        return decode_config(content)
    except ConfigError as error:
        raise BadRequest(str(error)) from error
