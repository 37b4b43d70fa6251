"""Which image to label next: MONAI Label's strategies that need no model."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from imeasure_server.datastore.datastore import Datastore, ListedImage
from imeasure_server.datastore.errors import NotWritable, UnknownItem

STRATEGIES: Mapping[str, str] = {
    "random": "Random Strategy",
    "first": "Get First Sample",
    "last": "Get Last Sample",
}
"""Descriptions, by name."""


@dataclass(frozen=True)
class Sample:
    """The image to label next.

    Attributes:
        image: the image; its info says who asked for it by which strategy.
        weight: how long ago it was asked for last, in seconds; None where that did not matter.
    """

    image: ListedImage
    weight: int | None


def next_sample(datastore: Datastore, strategy: str, client: str | None) -> Sample | None:
    """Choose among the images without a final label, and remember who got it.

    Args:
        strategy: ``random`` (the longer ago an image was asked for, the likelier), ``first`` or ``last`` by id.
        client: who asks.

    Returns:
        None when every image has a final label.

    Raises:
        UnknownItem: there is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise UnknownItem(f"There is no strategy {strategy[:64]}; these are: {', '.join(STRATEGIES)}.")
    unlabeled = [image for image in datastore.list().values() if not image.is_completed]
    if not unlabeled:
        return None
    weight = None
    if strategy == "random":
        now = int(time.time())
        weights = [max(1, now - _asked_for(image, strategy)) for image in unlabeled]
        index = random.choices(range(len(unlabeled)), weights=weights)[0]
        chosen, weight = unlabeled[index], weights[index]
    else:
        chosen = unlabeled[0 if strategy == "first" else -1]
    history = {**_history(chosen), strategy: {"ts": int(time.time()), "client_id": client}}
    with suppress(NotWritable, UnknownItem):  # it is remembered so that the next person gets another image
        datastore.update_image_info(chosen.image.id, {"strategy": history})
    return Sample(ListedImage(chosen.image, {**chosen.info, "strategy": history}, chosen.labels), weight)


def _history(image: ListedImage) -> dict[str, Any]:
    history = image.info.get("strategy")
    return dict(history) if isinstance(history, dict) else {}


def _asked_for(image: ListedImage, strategy: str) -> int:
    """When, in seconds since 1970; 0 for never."""
    asked = _history(image).get(strategy)
    time_stamp = asked.get("ts") if isinstance(asked, dict) else None
    return time_stamp if isinstance(time_stamp, int) else 0
