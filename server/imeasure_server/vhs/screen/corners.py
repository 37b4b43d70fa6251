"""Where the screen is in a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from imeasure_server.models.weights_file import read_weights
from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.screen.architecture import STRIDE, ScreenNetwork
from imeasure_server.vhs.screen.edges import refine_corners
from imeasure_server.vhs.screen.letterbox import Letterbox, letterboxed
from imeasure_server.vhs.screen.rectification import NotAScreen, check_corners

Picture: TypeAlias = NDArray[np.uint8]

WEIGHTS_NAME = "screen.safetensors"

LEAST_SCREEN, LEAST_WHOLE = 0.5, 0.5
"""Least probabilities that a picture is a photograph of a screen, and that all its corners are in it."""

LEAST_OVERLAP = 0.8
"""Between the screen within its corners and the network's mask of it, intersection over union."""

LEAST_EDGES = 2
"""How many sides must be edges that the photograph shows."""

WORKING_SIDE = 2000
"""Longer side, in pixels, of the picture in which edges are sought; finer than that is the sensor's noise."""

REACH = 0.012
"""How far from the network's lines edges are sought, as a fraction of the diagonal."""


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
        height, width = picture.shape[:2]
        box = letterboxed(picture)
        screen, whole, guess, mask = self._ask(box)
        if screen < LEAST_SCREEN or whole < LEAST_WHOLE:
            return Sighting(screen, whole, None)
        factor = min(1.0, WORKING_SIDE / max(height, width))
        size = (round(width * factor), round(height * factor))
        working = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if factor < 1 else picture
        scale = np.array([size[0] / width, size[1] / height])
        reach = REACH * float(np.hypot(*size))
        refined = refine_corners(np.asarray(working, np.uint8), box.to_picture(guess) * scale, reach)
        corners = refined.corners / scale
        if not _is_trusted(corners, refined.support, mask, box, width, height):
            return Sighting(screen, whole, None)
        return Sighting(screen, whole, corners, refined.support)

    @torch.inference_mode()
    def _ask(self, box: Letterbox) -> tuple[float, float, FloatArray, NDArray[np.bool_]]:
        """Probabilities of a screen and of a whole one, corners in the square, and the mask of the lit area."""
        square = torch.from_numpy(box.square).to(self._device).permute(2, 0, 1)[None].float() / 255.0
        answer = self._network(square)
        return (
            float(answer.is_screen.sigmoid()),
            float(answer.is_whole.sigmoid()),
            answer.corners[0].double().cpu().numpy(),
            (answer.mask[0] > 0).cpu().numpy(),
        )


def _is_trusted(
    corners: FloatArray, support: FloatArray, mask: NDArray[np.bool_], box: Letterbox, width: int, height: int
) -> bool:
    """Whether the corners are a screen's, have edges between them, and are around what the network sees as lit."""
    if not np.isfinite(corners).all() or np.count_nonzero(support > 0.3) < LEAST_EDGES:
        return False
    try:
        check_corners(corners, width, height)
    except NotAScreen:
        return False
    within = np.zeros(mask.shape, np.uint8)
    cells = box.to_square(corners) / STRIDE - 0.5
    cv2.fillConvexPoly(within, np.round(cells * 16).astype(np.int32), (1,), cv2.LINE_8, 4)
    inside = within > 0
    union = np.count_nonzero(inside | mask)
    return bool(union > 0 and np.count_nonzero(inside & mask) >= LEAST_OVERLAP * union)
