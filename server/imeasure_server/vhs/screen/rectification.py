"""The flat picture that a screen shows, from a photograph of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.screen.aspect_ratio import true_aspect

Picture: TypeAlias = NDArray[np.uint8]

SHORTEST_SIDE = 32.0
"""Of a screen in a photograph, in pixels; on fewer there is nothing to measure."""

SMALLEST_AREA = 0.01
"""Of a screen, as a fraction of the photograph."""

BEYOND = 0.03
"""How far a corner may lie outside of the photograph, as a fraction of the diagonal."""

SMALLEST_ANGLE = 25.0
"""Of a screen's corner, in degrees; a sharper one is a screen seen from too far aside."""

FARTHEST_SIDE = 4.0
"""Greatest ratio of two sides that are opposite to each other."""

WIDEST = 5.0
"""Greatest ratio of width and height, or of height and width."""

LARGEST_SIDE = 8192


class NotAScreen(Exception):
    """Four corners that no screen in this photograph can have; the message says why."""


@dataclass(frozen=True, eq=False)
class Rectified:
    """A flat picture of a screen.

    Attributes:
        picture: (height, width) grey or (height, width, 3) RGB, like the photograph.
        homography: (3, 3) from pixels of the photograph to pixels of the flat picture, in both the outer corner of
            the first pixel at (0, 0).
    """

    picture: Picture
    homography: FloatArray


def rectify(picture: Picture, corners: FloatArray) -> Rectified:
    """Correct the perspective. The screen's true aspect ratio is recovered, and no resolution is lost.

    Args:
        picture: (h, w) grey or (h, w, 3) RGB.
        corners: (4, 2) in pixels, TL, TR, BR, BL; any corner of the screen may be called its TL, the flat picture is
            turned accordingly.

    Raises:
        NotAScreen: the corners are no convex quadrilateral in that order, or too small, too oblique or outside.
    """
    corners = np.asarray(corners, float)
    height, width = picture.shape[:2]
    check_corners(corners, width, height)
    aspect = true_aspect(corners, width, height)
    if not 1 / WIDEST <= aspect <= WIDEST:
        raise NotAScreen("The corners belong to something much longer than a screen.")
    size = flat_size(corners, aspect)
    flat = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float32)
    homography = np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), flat), float)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])  # OpenCV counts from the middle of the first pixel
    centred = np.linalg.inv(half) @ homography @ half
    warped = cv2.warpPerspective(picture, centred, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Rectified(np.asarray(warped, np.uint8), homography)


def check_corners(corners: FloatArray, width: float, height: float) -> None:
    """Whether these can be a screen's corners; arguments as for `rectify`.

    Raises:
        NotAScreen: they cannot.
    """
    if corners.shape != (4, 2) or not np.isfinite(corners).all():
        raise NotAScreen("Four corners with two coordinates each are needed.")
    sides = np.roll(corners, -1, 0) - corners
    turns = _cross(sides, np.roll(sides, -1, 0))
    if (turns < 0).all():
        raise NotAScreen("The corners are in mirrored order: it must be TL, TR, BR, BL.")
    if not (turns > 0).all():
        raise NotAScreen("The corners are not those of a convex quadrilateral in the order TL, TR, BR, BL.")
    margin = BEYOND * float(np.hypot(width, height))
    if (corners < -margin).any() or (corners > np.array([width, height]) + margin).any():
        raise NotAScreen("A corner lies outside of the picture.")
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    if lengths.min() < SHORTEST_SIDE or _area(corners) < SMALLEST_AREA * width * height:
        raise NotAScreen("The screen is too small in the picture.")
    sines = turns / (lengths * np.roll(lengths, -1))
    ratios = np.maximum(lengths[:2] / lengths[2:], lengths[2:] / lengths[:2])
    if sines.min() < np.sin(np.radians(SMALLEST_ANGLE)) or ratios.max() > FARTHEST_SIDE:
        raise NotAScreen("The screen is seen from too far aside.")


def flat_size(corners: FloatArray, aspect: float) -> tuple[int, int]:
    """(width, height) in pixels with this aspect ratio, so that no side has fewer pixels than in the photograph."""
    sides = np.roll(corners, -1, 0) - corners
    top, right, bottom, left = np.hypot(sides[:, 0], sides[:, 1])
    height = max(left, right, max(top, bottom) / aspect)
    height = min(height, LARGEST_SIDE, LARGEST_SIDE / aspect)
    return max(1, round(height * aspect)), max(1, round(height))


def _area(corners: FloatArray) -> float:
    after = np.roll(corners, -1, 0)
    return float(_cross(corners, after).sum()) / 2.0


def _cross(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
