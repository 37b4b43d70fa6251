"""Where the screen is in a photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from imeasure_server.models.weights_file import read_weights
from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.screen.architecture import ScreenNetwork
from imeasure_server.vhs.screen.candidates import choose_corners, overlap_of
from imeasure_server.vhs.screen.edges import LEAST_SUPPORT, refine_corners
from imeasure_server.vhs.screen.letterbox import Letterbox, letterboxed
from imeasure_server.vhs.screen.rectification import NotAScreen, check_corners

Picture: TypeAlias = NDArray[np.uint8]

WEIGHTS_NAME = "screen.safetensors"

LEAST_SCREEN, LEAST_WHOLE = 0.5, 0.7
"""Least probabilities that a picture is a photograph of a screen, and that all its corners are in it."""

CONSIDERED = 0.5
"""Least probability with which corners are sought at all, or are taken from a closer look."""

LEAST_OVERLAP = 0.75
"""Between the screen within its corners and the network's mask of it, intersection over union."""

LEAST_EDGES = 3
"""How many sides must be edges that the photograph shows."""

WORKING_SIDE = 2000
"""Longer side, in pixels, of the picture in which edges are sought; finer than that is the sensor's noise."""

CLOSER_MARGIN = 0.2
"""Around the screen when it is looked at again, in its longer sides."""

OUTSIDE, AT_BORDER = 0.002, 0.02
"""Of the diagonal: how far a corner may be outside of the photograph, and how near to its border the screen may be cut
by it where it shows no edge."""

REACHES = (0.03, 0.008)
"""How far from the lines between the corners edges are sought, first and last, as a fraction of the diagonal."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """What was seen.

    Attributes:
        screen: probability that the picture is a photograph of a screen.
        whole: probability that all its corners are in the picture.
        corners: (4, 2) of the lit area in pixels, TL, TR, BR, BL, the outer corner of the first pixel at (0, 0); None
            when there is no screen, or when not all of its corners can be told.
        support: (4,) share of the top, right, bottom and left side that is a clear edge; None without corners.
    """

    screen: float
    whole: float
    corners: FloatArray | None
    support: FloatArray | None = None

    @property
    def is_screen(self) -> bool:
        """Whether a screen is seen, with or without all of its corners."""
        return self.screen >= LEAST_SCREEN


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the network sees in a part of a picture.

    Attributes:
        screen, whole: probabilities, as in `Sighting`.
        corners: (4, 2) in pixels of the whole picture, those that belong together best.
        mask: log odds of the cells of the part's letterbox to be lit.
        box: the part's letterbox.
        origin: (2,) of the part's upper left corner in the picture.
    """

    screen: float
    whole: float
    corners: FloatArray
    mask: NDArray[np.float32]
    box: Letterbox
    origin: FloatArray


class ScreenFinder:
    """Finds a screen with a small network, and its corners to a fraction of a pixel by its edges.

    Args:
        weights: folder with ``screen.safetensors`` and ``SHA256SUMS``.
        device: of torch.

    Raises:
        WeightsError: the weights are missing or broken.
    """

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        self._device = device
        self._network = read_weights(weights, WEIGHTS_NAME, ScreenNetwork()).to(device)

    def find(self, picture: Picture) -> FloatArray | None:
        """The screen's corners (4, 2), TL, TR, BR, BL, in pixels with the outer corner of the first pixel at (0, 0).

        Args:
            picture: (h, w) grey or (h, w, 3) RGB.

        Returns:
            None when there is no screen, or not the whole of one.
        """
        return self.look(picture).corners

    def look(self, picture: Picture) -> Sighting:
        """The same with what it rests on."""
        seen = self._ask(picture)
        if seen.screen < LEAST_SCREEN or seen.whole < LEAST_WHOLE:
            return Sighting(seen.screen, seen.whole, None)
        seen = self._look_closer(picture, seen)
        height, width = picture.shape[:2]
        factor = min(1.0, WORKING_SIDE / max(height, width))
        size = (round(width * factor), round(height * factor))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if factor < 1 else picture
        working = np.asarray(small, np.uint8)
        scale = np.array([size[0] / width, size[1] / height])
        corners, support = seen.corners * scale, np.zeros(4)
        for reach in REACHES:
            refined = refine_corners(working, corners, reach * float(np.hypot(*size)))
            corners, support = refined.corners, refined.support
        corners = corners / scale
        if not _is_trusted(corners, support, seen, width, height):
            return Sighting(seen.screen, seen.whole, None)
        return Sighting(seen.screen, seen.whole, corners, support)

    def _look_closer(self, picture: Picture, seen: _Seen) -> _Seen:
        """Ask again of the part around a small screen, where the network's pixels are finer."""
        height, width = picture.shape[:2]
        low, high = seen.corners.min(0), seen.corners.max(0)
        margin = CLOSER_MARGIN * float((high - low).max())
        left, top = np.maximum(low - margin, 0).astype(int)
        right, bottom = np.minimum(high + margin, [width, height]).astype(int)
        if max(right - left, bottom - top) > 0.8 * max(width, height) or min(right - left, bottom - top) < 16:
            return seen
        part = np.ascontiguousarray(picture[top:bottom, left:right])
        closer = self._ask(part, np.array([left, top], float))
        moved = np.abs(closer.corners - seen.corners).max()
        if min(closer.screen, closer.whole) < CONSIDERED or moved > margin:
            return seen
        return replace(closer, screen=seen.screen, whole=seen.whole)

    @torch.inference_mode()
    def _ask(self, part: Picture, origin: FloatArray | None = None) -> _Seen:
        """What the network sees in a part of the picture whose upper left corner is at ``origin``."""
        start = np.zeros(2) if origin is None else origin
        box = letterboxed(part)
        answer = self._network(torch.from_numpy(box.square).to(self._device).permute(2, 0, 1)[None].float() / 255.0)
        mean, heat, mask = (one[0].cpu().numpy() for one in (answer.corners, answer.heat, answer.mask))
        screen, whole = float(answer.is_screen.sigmoid()), float(answer.is_whole.sigmoid())
        likely = min(screen, whole) >= CONSIDERED
        corners = choose_corners(part, box, mean, heat, mask) if likely else box.to_picture(mean)
        return _Seen(screen, whole, corners + start, mask, box, start)


def _is_cut(corners: FloatArray, support: FloatArray, width: int, height: int) -> bool:
    """Whether the photograph ends before the screen does."""
    diagonal = float(np.hypot(width, height))
    inside = np.column_stack([corners, np.array([width, height]) - corners]) / diagonal  # from the four borders
    if inside.min() < -OUTSIDE:
        return True
    along_border = (np.maximum(inside, np.roll(inside, -1, 0)) < AT_BORDER).any(1)
    return bool((along_border & (support <= LEAST_SUPPORT)).any())


def _is_trusted(corners: FloatArray, support: FloatArray, seen: _Seen, width: int, height: int) -> bool:
    """Whether the corners are a screen's, have edges between them, and are around what the network sees as lit."""
    if not np.isfinite(corners).all() or np.count_nonzero(support > LEAST_SUPPORT) < LEAST_EDGES:
        return False
    if _is_cut(corners, support, width, height):
        return False
    try:
        check_corners(corners, width, height)
    except NotAScreen:
        return False
    return overlap_of(seen.box.to_square(corners - seen.origin), seen.mask) >= LEAST_OVERLAP
