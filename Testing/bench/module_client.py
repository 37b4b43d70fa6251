"""A method asked as the Slicer module asks the server: crops around the prompts that grow while the mask is cut off.

The module's own client makes the requests and reads the answers, the server's own code reads the requests and makes
the answers; only HTTP between the two, and the engine, are left out.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from bench.methods import Method

from imeasure_server.api.multipart import Part
from imeasure_server.api.seg_request import parse_request
from imeasure_server.api.seg_response import encode_response
from imeasure_server.errors import EmptySegmentationOutput
from imeasure_server.imaging.volume import BoolArray, Geometry, Volume
from imeasure_server.measurement import measure
from imeasure_server.segmentation import engine as engines
from imeasure_server.segmentation.padding import segment_padded
from imeasure_server.segmentation.prompts import Prompts
from IMeasureLib.geometry import VolumeGeometry, lpsToRAS
from IMeasureLib.http_client import ServerError
from IMeasureLib.imeasure_client import IMeasureClient
from IMeasureLib.prompts import Click, Point, PromptHistory, TwoClick

MOST_VOXELS = 1 << 26  # of a padded crop, as the server's default


def in_module_crops(method: Method, volume: Volume, prompts: Prompts) -> BoolArray:
    """The mask that the module would show, (x, y, z) bool on the whole volume; empty when nothing was found.

    Args:
        method: to ask.
        volume: that is open in Slicer.
        prompts: clicks and pairs in its voxels, all in one request; no strokes, no previous mask.

    Raises:
        ServerError: the method failed in a way that the module reports.
    """
    geometry = volume.geometry
    client = _InProcessClient(method)
    try:
        answer = client.segment(
            volume.array.T, VolumeGeometry(geometry.ras_affine, geometry.shape), _history(prompts, geometry)
        )
    except ServerError as error:
        if error.code != EmptySegmentationOutput.CODE:
            raise
        return np.zeros(geometry.shape, dtype=bool)
    return np.asarray(answer.mask.full(geometry.shape).T)


class _InProcessClient(IMeasureClient):
    def __init__(self, method: Method) -> None:
        super().__init__("http://127.0.0.1")
        self._engine = _MethodAsEngine(method)

    def requestJSON(self, method: str, path: str, *_: Any, files: dict[str, Any], **__: Any) -> Any:
        """Answer a ``POST /seg`` here."""
        parts = {name: Part(name, bytearray(content), len(content)) for name, (_, content, _) in files.items()}
        request = parse_request(parts, MOST_VOXELS)
        try:
            mask = segment_padded(self._engine, request.volume, request.prompts, request.padding)
        except engines.EmptySegmentationError as error:
            raise ServerError(str(error), EmptySegmentationOutput.STATUS, EmptySegmentationOutput.CODE) from error
        return json.loads(encode_response(request, mask, measure(mask, request.volume.geometry)))


class _MethodAsEngine:
    name = "method"
    device = "cpu"

    def __init__(self, method: Method) -> None:
        self._method = method

    def segment(self, volume: Volume, prompts: Prompts, cancellation: engines.Cancellation | None = None) -> BoolArray:
        """Ask the method; see ``SegmentationEngine.segment``."""
        mask = self._method(volume, prompts)
        if not mask.any():
            raise engines.EmptySegmentationError("Nothing was found.")
        return mask


def _history(prompts: Prompts, geometry: Geometry) -> PromptHistory:
    def placed(point: Point) -> Point:
        x, y, z = (float(value) for value in lpsToRAS(geometry.to_world(point)))
        return x, y, z

    pairs = [(pair.order, TwoClick(placed(pair.first), placed(pair.second))) for pair in prompts.extreme_pairs]
    clicks = [(point.order, Click(placed(point.position), point.positive)) for point in prompts.points]
    return PromptHistory(tuple(step for _, step in sorted([*pairs, *clicks], key=lambda pair: pair[0])))
