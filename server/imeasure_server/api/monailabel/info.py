"""``GET /info/``: what MONAI Label clients are told of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request

from imeasure_server.api.resources import datastore_of, models_of
from imeasure_server.datastore import STRATEGIES
from imeasure_server.models.description import ModelDescription, ModelType

PROTOCOL_VERSION = "0.8.5"
"""Of MONAI Label, whose protocol this is."""

router = APIRouter(tags=["MONAI Label"])


@router.get("/info/", summary="Models, labels, and how many images there are to label")
@router.get("/info", include_in_schema=False)
async def info(request: Request) -> dict[str, Any]:
    """In the form of MONAI Label. ``config`` stays empty: its Slicer plugin refuses servers that have one."""
    models = await asyncio.to_thread(models_of(request).list)
    status = await asyncio.to_thread(datastore_of(request).status)
    return {
        "name": f"MONAILabel - IMeasure ({PROTOCOL_VERSION})",
        "description": "Interactive and automatic segmentation. Not a medical device.",
        "version": PROTOCOL_VERSION,
        "labels": _labels(models),
        "models": {model.name: _model(model) for model in models},
        "trainers": {},
        "strategies": {name: {"description": text, "config": {}} for name, text in STRATEGIES.items()},
        "scoring": {},
        "train_stats": {},
        "datastore": {**status, "objects": status["total"]},
        "config": {},
    }


def _model(model: ModelDescription) -> dict[str, Any]:
    """``interactive`` (takes the prompts of OHIF-AI) and ``licence`` are ours: AIAAClient shows tools by them."""
    return {
        "type": model.type.value,
        "labels": dict(model.labels),
        "dimension": model.dimension,
        "description": model.description,
        "config": dict(model.config),
        "interactive": model.interactive,
        "licence": model.licence,
    }


def _labels(models: Iterable[ModelDescription]) -> list[str]:
    """Every label once. Those of models that need no prompt come first: the Slicer plugin runs the first model that has
    the first label whenever it shows a new image.
    """
    automatic = [model for model in models if model.type is ModelType.SEGMENTATION and not model.interactive]
    others = [model for model in models if model not in automatic]
    return list(dict.fromkeys(label for model in (*automatic, *others) for label in model.labels))
