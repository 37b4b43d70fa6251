"""What clients are told of a model that has a config."""

from __future__ import annotations

from typing import Any

from imeasure_server.models.config.aiaa import AiaaConfig
from imeasure_server.models.description import ModelDescription


def describe(name: str, config: AiaaConfig) -> ModelDescription:
    """The description of a model of that name."""
    return ModelDescription(
        name=name,
        type=config.type,
        description=config.description or f"A {config.type.value} model.",
        labels=config.labels,
        version=config.version,
        dimension=config.dimension,
        deepgrow=config.deepgrow,
        padding=config.padding,
        roi=config.roi,
        licence=config.licence,
        interactive=config.interactive,
        internal_name=config.internal_name,
        repeatable=config.raw.get("repeatable") is not False,
    )


def config_of(description: ModelDescription) -> dict[str, Any]:
    """AIAA's config of a model that has none, for clients that ask for it."""
    about: dict[str, Any] = {}
    if description.padding is not None:
        about["padding"] = description.padding
    if description.roi is not None:
        about["roi"] = list(description.roi)
    return {
        "version": description.version,
        "type": description.type.value,
        "labels": list(description.labels),
        "description": description.description,
        "pre_transforms": [],
        "inference": {
            "input": "image",
            "output": "model",
            "AIAA": {"name": "embedded", "args": {}},
            "meta_data": about,
        },
        "post_transforms": [],
        "writer": {"name": "Writer", "args": {"image": "model", "json": "result"}},
    }
