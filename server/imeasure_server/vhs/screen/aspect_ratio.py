"""The true aspect ratio of a rectangle from where a camera shows its corners.

Zhang and He, "Whiteboard scanning and image enhancement", Digital Signal Processing 17 (2007) 414: four corners give
the focal length and the ratio of the sides, when the principal point is in the middle of the picture and the pixels
are square. Seen from the front, or turned about one axis only, the corners say little or nothing of the focal length.
So it is weighed here against the focal lengths that cameras have, by how much an error of the corners would change
what they say.
"""

from __future__ import annotations

import numpy as np

from imeasure_server.vhs.landmarks import FloatArray

USUAL_FOCAL = 0.8
"""Focal length of telephones and cameras, in longer sides of their pictures; 64° are seen along that side."""

FOCAL_SPREAD = 0.25
"""Standard deviation of its logarithm."""

CORNER_ERROR = 0.0005
"""Standard deviation of a corner's coordinate, as a fraction of the diagonal."""


def true_aspect(corners: FloatArray, width: float, height: float) -> float:
    """Width by height of the rectangle with these corners.

    Args:
        corners: (4, 2) in pixels, TL, TR, BR, BL, the outer corner of the first pixel at (0, 0); convex.
        width, height: of the photograph in pixels.
    """
    unit = float(np.hypot(width, height))
    centred = (np.asarray(corners, float) - np.array([width, height]) / 2.0) / unit
    usual = USUAL_FOCAL * max(width, height) / unit
    focals = usual * np.exp(np.linspace(-1.2, 1.2, 241))
    cosine, aspects = _of_focals(centred, focals)
    sensitivity = np.zeros_like(focals)
    step = 1e-5
    for place in np.ndindex(4, 2):
        moved = centred.copy()
        moved[place] += step
        sensitivity += ((_of_focals(moved, focals)[0] - cosine) / step) ** 2
    unlikely = cosine**2 / (sensitivity * CORNER_ERROR**2 + 1e-12) + (np.log(focals / usual) / FOCAL_SPREAD) ** 2
    return float(aspects[int(np.argmin(unlikely))])


def _of_focals(corners: FloatArray, focals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each focal length the cosine between the sides in space, which is 0 for a rectangle, and their ratio."""
    top_left, top_right, bottom_right, bottom_left = np.column_stack([corners, np.ones(4)])
    diagonal = np.cross(top_left, bottom_right)
    depth_right = diagonal @ bottom_left / (np.cross(top_right, bottom_right) @ bottom_left)
    depth_below = diagonal @ top_right / (np.cross(bottom_left, bottom_right) @ top_right)
    along = depth_right * top_right - top_left
    down = depth_below * bottom_left - top_left
    squares = focals**2
    across = along[:2] @ down[:2] / squares + along[2] * down[2]
    lengths = [np.sqrt(side[:2] @ side[:2] / squares + side[2] ** 2) for side in (along, down)]
    return np.asarray(across / (lengths[0] * lengths[1])), np.asarray(lengths[0] / lengths[1])
