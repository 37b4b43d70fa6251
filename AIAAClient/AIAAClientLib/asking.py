"""One prepared question: what is sent, and the answer as labels on the whole volume's grid."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.jobs import Progress

from .mask_grid import Mask
from .mask_labels import labelsIn, regionsOf
from .model_info import ModelInfo
from .nifti import encodeNifti
from .segmentation_server import SegmentationServer
from .sessions import Source
from .task import PreparedTask


@dataclass(frozen=True, eq=False)
class MaskAnswer:
    """What a model said.

    Attributes:
        mask: (k, j, i) label values on the whole volume's grid; None when the model makes no mask.
        labels: name → value of the labels that are in it.
        regions: name → voxels of each label in a tight box.
        result: the server's JSON.
        seconds: from asking to having it.
        model: that was asked.
        sent: bytes of the volume that were sent for it; 0 where the server had it.
    """

    mask: Mask | None = field(repr=False)
    labels: Mapping[str, int]
    regions: Mapping[str, MaskRegion] = field(repr=False)
    result: Mapping[str, Any]
    seconds: float
    model: ModelInfo
    sent: int


def sourceOf(prepared: PreparedTask) -> Source:
    """What is sent, and a key that changes with every change of it."""
    node, image = prepared.task.volumeNode, prepared.task.volumeNode.GetImageData()
    voxels, affine = prepared.sentVoxels, prepared.affine
    scalars = image.GetPointData().GetScalars()
    key = (node.GetID(), id(node), image.GetMTime(), scalars.GetMTime(), affine.tobytes(), prepared.region)
    k, j, i = voxels.shape
    owner = f"{node.GetID()} {'whole' if prepared.region is None else 'region'}"
    return Source(key, lambda packed: encodeNifti(voxels, affine, packed), affine, (i, j, k), owner)


def ask(
    client: SegmentationServer,
    model: ModelInfo,
    prepared: PreparedTask,
    source: Source,
    cancel: threading.Event | None,
    progress: Progress | None,
) -> MaskAnswer:
    """Put a prepared question; blocks, and touches neither Qt nor MRML."""
    began = time.monotonic()
    reply = client.infer(model, prepared.question, source, cancel, progress)
    mask = prepared.whole(reply.mask)
    names = _labelNames(reply.result) or model.labels
    labels = labelsIn(mask, names, model.name) if mask is not None else {}
    meant = prepared.task.labelName
    if mask is not None and model.knowsSeveral and meant:  # it marks all that it knows
        labels = {name: value for name, value in labels.items() if name == meant}
        mask[mask != labels.get(meant, 0)] = 0
    regions = regionsOf(mask, labels) if mask is not None else {}
    return MaskAnswer(mask, labels, regions, reply.result, time.monotonic() - began, model, reply.sent)


def _labelNames(result: Mapping[str, Any]) -> dict[str, int]:
    """What the answer itself calls the labels (MONAI Label's ``label_names``), where it does."""
    names = result.get("label_names")
    if not isinstance(names, Mapping):
        return {}
    return {str(name): int(value) for name, value in names.items() if isinstance(value, (int, float)) and value > 0}
