"""A person's photograph of a monitor that shows a radiograph and nothing else: what a capture session asks for.

The simulator in ``server/training/vhs_screen`` draws the awkward ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1600, 1200
BEZEL = 0.03
"""Of the monitor's width, black."""


@dataclass(frozen=True, eq=False)
class Shot:
    """A photograph.

    Attributes:
        picture: (1200, 1600, 3) RGB.
        corners: (4, 2) of the lit area in its pixels, TL, TR, BR, BL.
        homography: (3, 3) from the radiograph's pixels to the photograph's.
    """

    picture: NDArray[np.uint8]
    corners: NDArray[np.float64]
    homography: NDArray[np.float64]

    def show(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points (n, 2) of the radiograph are in the photograph."""
        return cv2.perspectiveTransform(points[None], self.homography)[0]


def photographed(radiograph: NDArray[np.uint8], seed: int) -> Shot:
    """Take a photograph, slightly from the side, of a monitor in front of a wall.

    Args:
        radiograph: (h, w) grey; it fills the lit area.
        seed: of the position, the light and the noise.
    """
    rng = np.random.default_rng(seed)
    rows, columns = radiograph.shape
    height = HEIGHT * rng.uniform(0.6, 0.7)
    half = np.array([height * columns / rows, height]) / 2
    centre = np.array([WIDTH, HEIGHT]) / 2 + rng.uniform(-40, 40, 2)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = centre + signs * half + rng.uniform(-40, 40, (4, 2))
    frame = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], float)
    homography = cv2.getPerspectiveTransform(frame.astype(np.float32), corners.astype(np.float32))
    picture = np.full((HEIGHT, WIDTH, 3), (120, 116, 108), np.float32)
    picture *= np.linspace(0.8, 1.1, WIDTH, dtype=np.float32)[None, :, None]
    edge = BEZEL * columns
    outer = cv2.perspectiveTransform((frame + signs * edge)[None], homography)[0]
    cv2.fillConvexPoly(picture, np.rint(outer).astype(np.int32), (14, 14, 15))
    # Pixel centres lie half a pixel inside of the coordinates that are used here.
    half_pixel = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    by_centres = np.linalg.inv(half_pixel) @ homography @ half_pixel
    lit = 45 + 0.75 * cv2.cvtColor(radiograph, cv2.COLOR_GRAY2RGB).astype(np.float32)
    shown = cv2.warpPerspective(lit, by_centres, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    mask = cv2.warpPerspective(np.ones_like(radiograph, np.float32), by_centres, (WIDTH, HEIGHT))[:, :, None]
    picture = cv2.GaussianBlur(picture * (1 - mask) + shown * mask, (0, 0), 0.8) + rng.normal(0, 2, picture.shape)
    return Shot(np.clip(picture, 0, 255).astype(np.uint8), corners, homography)
