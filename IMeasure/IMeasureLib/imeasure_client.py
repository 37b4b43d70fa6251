"""The iMeasure protocol, client side: ``POST /seg``."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .crop_region import CropRegion, MaskRegion
from .findings import Cross, MeasuredLine, Measurements
from .geometry import VolumeGeometry, lpsToRAS, rasToLPS
from .http_client import HttpClient, ServerError
from .jobs import Cancelled, Progress
from .prompts import PromptError, PromptHistory
from .voxel_encoding import encodeVoxels

MAX_REQUESTS = 4
"""How often one question is asked with a larger crop."""

ALL_FACES = ((True, True), (True, True), (True, True))

MAX_CROP_VOXELS = 48_000_000
"""About 100 MB: larger crops are not sent."""


@dataclass(frozen=True)
class SegmentationAnswer:
    """What the server found.

    Attributes:
        mask: the whole finding on the volume's grid.
        measurements: in local RAS; None when parts of the mask were outside what was sent, and so not measured.
        seconds: from the question to the answer.
        warning: a sentence, or "".
    """

    mask: MaskRegion
    measurements: Measurements | None
    seconds: float
    warning: str = ""

    @property
    def origin(self) -> tuple[int, int, int]:
        """Voxel index (i, j, k) of the mask's first voxel."""
        return self.mask.origin


@dataclass(frozen=True)
class _Question:
    """What stays the same while the crop grows."""

    voxels: npt.NDArray[Any]
    geometry: VolumeGeometry
    history: PromptHistory
    previous: MaskRegion | None
    findingId: str | None
    cancel: threading.Event | None
    progress: Progress | None

    def begin(self, line: str) -> None:
        """Say what comes next; Cancelled when it must not."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled
        if self.progress is not None:
            self.progress(line)


class IMeasureClient(HttpClient):
    """A server that speaks the iMeasure 3D API."""

    service = "IMeasure server"
    advice: Mapping[str, str] = {
        "EMPTY_SEGMENTATION_OUTPUT": "Nothing could be segmented there. Click nearer to the middle of the lesion, or "
        "draw around it with MagicPen.",
        "MAGIC_PEN_NOT_AXIAL": "The pen stroke must lie on one slice of the volume. Draw it in the view that shows the "
        "volume's own slices.",
        "CLICKS_OUT_OF_BOUNDS": "A click is too far from the others for one request. Remove it, or begin a new "
        "finding.",
        "CROP_SIZE_TOO_SMALL": "The server wants more of the volume than there is. It needs 64×64×16 voxels.",
        "INTERNAL_ERROR": "The server could not compute the segmentation. Try again; its log says more.",
        "OUTPUT_SHAPE_MISMATCH": "The server could not compute the segmentation. Try again; its log says more.",
    }

    def check(self, cancel: threading.Event | None = None) -> None:
        """ServerError unless an iMeasure server answers there and accepts the key. Sends no image."""
        try:
            self.request("POST", "/seg", cancel)
        except ServerError as error:
            if error.code != "UNSUPPORTED_MEDIA_TYPE":
                raise
            return
        raise ServerError(f"Something else, not an {self.service}, answers at {self.address}. Check address and port.")

    def segment(
        self,
        voxels: npt.NDArray[Any],
        geometry: VolumeGeometry,
        history: PromptHistory,
        previousMask: MaskRegion | npt.NDArray[Any] | None = None,
        findingId: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> SegmentationAnswer:
        """Segment and measure one finding. A crop whose border the mask touches is made larger, and asked about again.

        Args:
            voxels: (k, j, i) array of any numeric type.
            geometry: of ``voxels``.
            history: all prompts, oldest first, local RAS mm.
            previousMask: what is to be refined: a region, or a full (k, j, i) mask.
            findingId: UUID of the finding that is refined.
            cancel, progress: see ``HttpClient.request``.

        Raises:
            PromptError: a prompt lies outside the volume.
            ServerError: there is no mask; says why. Cancelled: ``cancel`` was set.
        """
        if not np.all(geometry.contains(history.points)):
            raise PromptError("A prompt lies outside the volume.")
        started = time.monotonic()
        previous = previousMask
        if previous is not None and not isinstance(previous, MaskRegion):
            previous = MaskRegion.of(previous)
        question = _Question(voxels, geometry, history, previous, findingId, cancel, progress)
        region, mask, measurements = self._askUntilWhole(question, _cropFor(geometry, history, previous))
        found = MaskRegion.of(mask)
        found = MaskRegion(found.array, _shifted(found.origin, region.lower))
        whole = _withOutside(found, previous, region)
        cut = region.touchesBorder(mask)
        return SegmentationAnswer(
            mask=whole,
            measurements=measurements if whole is found else None,
            seconds=time.monotonic() - started,
            warning="The lesion reaches the border of the largest region that is sent; it may be cut off there."
            if cut
            else "",
        )

    def _askUntilWhole(
        self, question: _Question, region: CropRegion
    ) -> tuple[CropRegion, npt.NDArray[np.bool_], Measurements]:
        """Ask about larger and larger crops until the mask is inside: the crop, (k, j, i) mask on it, measurements."""
        for attempt in range(MAX_REQUESTS):
            question.begin(f"{'Looking at more' if attempt else 'Sending'}: {_size(region)} voxels to {self.address}.")
            try:
                mask, measurements = self._ask(question, region)
            except ServerError as error:
                # A lesion that fills all of the crop looks like nothing at all: show what is around it, once.
                larger = region.grown(ALL_FACES)
                if attempt or error.code != "EMPTY_SEGMENTATION_OUTPUT" or not _isWorthAsking(larger, region):
                    raise
                region = larger
                continue
            larger = region.grown(region.touchedFaces(mask))
            if attempt == MAX_REQUESTS - 1 or not _isWorthAsking(larger, region):
                break
            region = larger
        return region, mask, measurements

    def _ask(self, question: _Question, region: CropRegion) -> tuple[npt.NDArray[np.bool_], Measurements]:
        """One request: (k, j, i) mask on the crop, and measurements."""
        stored, slope, intercept = encodeVoxels(question.voxels[region.slices])
        metadata = segMetadata(region, question.geometry, question.history, slope, intercept, question.findingId)
        files = {
            "metadata": ("metadata.json", json.dumps(metadata).encode(), "application/json"),
            "image": ("image.bin", stored.tobytes(), "application/octet-stream"),
        }
        previous = question.previous
        if previous is not None and not previous.isEmpty:
            content = previous.within(region).astype(np.uint8).tobytes()
            files["mask"] = ("mask.bin", content, "application/octet-stream")
        body = self.requestJSON("POST", "/seg", cancel=question.cancel, progress=question.progress, files=files)
        try:
            return _maskOf(body, region), _measurementsOf(body, region)
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise ServerError(
                f"The server at {self.address} answered in a way that this IMeasure does not understand ({error}). "
                "Are both of the same version?"
            ) from error

    def sentenceFor(self, code: str, error: str, details: Mapping[str, Any]) -> str:
        known = self.advice.get(code)
        if known:
            return known
        fields = "; ".join(f"{name}: {_plain(value)}" for name, value in list(details.items())[:5])
        return f"The server did not accept the request: {error or code}" + (f" ({fields})." if fields else ".")


def segMetadata(
    region: CropRegion,
    geometry: VolumeGeometry,
    history: PromptHistory,
    slope: float,
    intercept: float,
    findingId: str | None,
) -> dict[str, Any]:
    """The contract's ``metadata`` part for one crop; all positions LPS mm."""
    directions = rasToLPS(geometry.directions.T)
    first = rasToLPS(geometry.ijkToRAS((0, 0, 0)))
    last = rasToLPS(geometry.ijkToRAS((0, 0, geometry.shape[2] - 1)))
    metadata: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "clicks": history.clicks(),
        "world_origin": first.tolist(),
        "world_shape": list(geometry.shape),
        "world_spacing": geometry.spacing.tolist(),
        "rescale_intercept": intercept,
        "rescale_slope": slope,
        "image_orientation_patient": [*directions[0].tolist(), *directions[1].tolist()],
        "crop_boundaries_world": rasToLPS(geometry.ijkToRAS([region.lower, region.upper])).tolist(),
        "crop_boundaries_voxel": [list(region.lower), list(region.upper)],
        "crop_boundaries_unclipped_voxel": [list(region.unclippedLower), list(region.unclippedUpper)],
        "crop_cuboid_center_voxel": list(region.center),
        "shape": list(region.shape),
        # Last image first, as in the contract's example. They tell which way the slices go: left-handed grids too.
        "world_bounding_image_positions": [last.tolist(), first.tolist()],
        "image_count": geometry.shape[2],
    }
    strokes = history.magicPenPoints()
    if strokes:
        metadata["magic_pen_points"] = strokes
    if findingId:
        metadata["finding_id"] = findingId
    return metadata


def _cropFor(geometry: VolumeGeometry, history: PromptHistory, previous: MaskRegion | None) -> CropRegion:
    """Around all prompts and the mask to refine; around the prompts alone where that would be too large to send."""
    region = CropRegion.around(geometry, history, covered=previous)
    if region.voxelCount > MAX_CROP_VOXELS:
        region = CropRegion.around(geometry, history)
    if region.voxelCount > MAX_CROP_VOXELS:
        raise ServerError("The prompts are too far apart for one request. Remove some, or begin a new finding.")
    return region


def _isWorthAsking(larger: CropRegion, region: CropRegion) -> bool:
    """Whether a grown crop shows more of the volume and can be sent."""
    return larger.shape != region.shape and larger.voxelCount <= MAX_CROP_VOXELS


def _size(region: CropRegion) -> str:
    return "×".join(str(n) for n in region.shape)


def _withOutside(found: MaskRegion, previous: MaskRegion | None, region: CropRegion) -> MaskRegion:
    """The found mask with those voxels of the previous one that were not sent; ``found`` itself when there are none."""
    if previous is None or previous.count == int(np.count_nonzero(previous.within(region))):
        return found
    lower = np.minimum(found.origin, previous.origin)
    upper = np.maximum(np.add(found.origin, found.size), np.add(previous.origin, previous.size))
    origin = _shifted((0, 0, 0), lower)
    size = _shifted((0, 0, 0), upper - lower)
    mask = previous.onBox(origin, size)
    box = tuple(
        slice(max(0, a - o), max(0, b + 1 - o)) for a, b, o in zip(region.lower[::-1], region.upper[::-1], origin[::-1])
    )
    mask[box] = False
    return MaskRegion(mask | found.onBox(origin, size), origin)


def _shifted(index: npt.ArrayLike, offset: npt.ArrayLike) -> tuple[int, int, int]:
    i, j, k = (int(value) for value in np.add(index, offset))
    return i, j, k


def _maskOf(body: Mapping[str, Any], region: CropRegion) -> npt.NDArray[np.bool_]:
    """(k, j, i) mask on the crop; ValueError when it is not one of this crop's shape."""
    content = base64.b64decode(body["mask"], validate=True)
    if list(body["mask_shape"]) != list(region.shape) or len(content) != region.voxelCount:
        raise ValueError("the mask has another shape than the image")
    if list(body["mask_origin_voxel"]) != list(region.lower):
        raise ValueError("the mask has another origin than the image")
    mask = np.frombuffer(content, dtype=np.uint8).reshape(region.shape[::-1]) != 0
    if not mask.any():
        raise ValueError("the mask is empty")
    return np.asarray(mask)


def _measurementsOf(body: Mapping[str, Any], region: CropRegion) -> Measurements:
    measured = body["measurements"]
    crosses = {
        int(k) + region.lower[2]: Cross(_line(cross["long"]), _line(cross["short"]))
        for k, cross in measured["cross"].items()
    }
    diameter, height = (_line(measured[name]) if measured.get(name) else None for name in ("diameter", "height"))
    return Measurements(crosses, diameter, height, int(body["volume"]), float(body["volume_mm3"]))


def _line(segment: Mapping[str, Any]) -> MeasuredLine:
    start, end = lpsToRAS(segment["coords_world"]).tolist()
    return MeasuredLine((start[0], start[1], start[2]), (end[0], end[1], end[2]), float(segment["length_world"]))


def _plain(value: Any) -> str:
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)
