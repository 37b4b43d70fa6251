"""``GET /v1/models``."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from imeasure_server.api.aiaa.openapi import MODELS_RESPONSES
from imeasure_server.api.resources import models_of
from imeasure_server.models.description import ModelDescription

router = APIRouter(tags=["AIAA"])


@router.get("/v1/models", summary="The models that there are", responses=MODELS_RESPONSES)
@router.get("/v1/models/", include_in_schema=False)
async def list_models(
    request: Request, label: str | None = None, type: str | None = None, model: str | None = None
) -> Response:
    """All models, or those that have this label and are of this type; with ``model`` that one alone, not in a list."""
    models = models_of(request)
    if model:
        description = await asyncio.to_thread(models.description, model.replace(" ", "+"))
        return JSONResponse(describe(description))
    found = await asyncio.to_thread(models.list)
    return JSONResponse([describe(each) for each in found if _has_label(each, label) and _is_of_type(each, type)])


def describe(model: ModelDescription) -> dict[str, Any]:
    """What AIAA's clients read of a model; their plugins fail where a name, type, description or label is missing."""
    described: dict[str, Any] = {
        "name": model.name,
        "type": model.type.value,
        "description": model.description,
        "labels": list(model.labels),
        "version": str(model.version),
        "internal name": model.internal_name or model.name,
        "dimension": model.dimension,
        "interactive": model.interactive,
    }
    optional = {
        "padding": model.padding,
        "roi": None if model.roi is None else list(model.roi),
        "deepgrow": model.deepgrow,
        "licence": model.licence or None,
    }
    return {**described, **{name: value for name, value in optional.items() if value is not None}}


def _has_label(model: ModelDescription, label: str | None) -> bool:
    return not label or label.strip().lower() in (name.lower() for name in model.labels)


def _is_of_type(model: ModelDescription, kind: str | None) -> bool:
    return not kind or model.type.value == kind.strip().lower()
