"""A picture of attenuation line integrals, built from solids whose chords along the X-ray are known.

Body coordinates: x caudal (to the right), y ventral (down), z towards the detector's viewer; in vertebral units, where
one unit is the mean length of T4 to T9 with their discs. Pictures: (height, width), pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Picture: TypeAlias = NDArray[np.float32]

SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class View:
    """How body coordinates fall on the picture.

    Attributes:
        scale: pixels per unit at z = 0.
        offset: (x, y) of the body's origin in pixels.
        yaw, roll: rotation of the body about its vertical and its long axis, in radians; 0 is a true lateral.
        rotation: in the plane of the picture, in radians.
        divergence: growth of the magnification per unit of z.
    """

    scale: float
    offset: tuple[float, float]
    yaw: float = 0.0
    roll: float = 0.0
    rotation: float = 0.0
    divergence: float = 0.0

    def project(self, points: FloatArray) -> FloatArray:
        """(n, 2) or (n, 3) body points to (n, 2) continuous pixel coordinates."""
        points = np.atleast_2d(np.asarray(points, float))
        x, y = points[:, 0], points[:, 1]
        if points.shape[1] == 3:
            z = points[:, 2]
            x, y = x + z * math.sin(self.yaw), y + z * math.sin(self.roll)
            magnified = 1 + self.divergence * z
            x, y = x * magnified, y * magnified
        cosine, sine = math.cos(self.rotation), math.sin(self.rotation)
        turned = np.column_stack([cosine * x - sine * y, sine * x + cosine * y])
        return turned * self.scale + np.array(self.offset)

    def bodies(self, shape: tuple[int, int]) -> FloatArray:
        """(height, width, 2) body coordinates at z = 0 of the pixels' centres."""
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        flat = (np.stack([x, y], axis=-1) - np.array(self.offset)) / self.scale
        cosine, sine = math.cos(self.rotation), math.sin(self.rotation)
        unturned: FloatArray = flat @ np.array([[cosine, -sine], [sine, cosine]])
        return unturned


class AttenuationMap:
    """Adds solids to a picture of line integrals (dimensionless)."""

    def __init__(self, shape: tuple[int, int], view: View) -> None:
        self.values: Picture = np.zeros(shape, np.float32)
        self.view = view

    def add_tube(
        self,
        points: FloatArray,
        radii: float | FloatArray,
        attenuation: float,
        wall: float | None = None,
        core: float = 0.35,
        texture: Picture | None = None,
    ) -> None:
        """A chain of cylinders.

        Args:
            points: (n, 2) or (n, 3) in body coordinates.
            radii: in units, one or n.
            attenuation: per unit of length, difference to what surrounds it.
            wall: share of the radius that is cortex; None for a solid one.
            core: attenuation of the marrow as a share of the cortex's.
            texture: multiplies it, of the map's shape.
        """
        centre = self.view.project(points)
        radius = np.broadcast_to(np.asarray(radii, float), (len(centre),)) * self.view.scale
        box = _box(centre, float(radius.max()) + 2, self.values.shape)
        if box is None:
            return
        (top, bottom), (left, right) = box
        outer = np.zeros((bottom - top, right - left), np.float32)
        inner = np.zeros_like(outer) if wall is not None else None
        for first, last, r0, r1 in zip(centre[:-1], centre[1:], radius[:-1], radius[1:], strict=True):
            _paint_segment(outer, inner, first - (left, top), last - (left, top), r0, r1, wall or 0.0)
        chord = outer if inner is None else outer - (1 - core) * inner
        if texture is not None:
            chord = chord * texture[top:bottom, left:right]
        self.values[top:bottom, left:right] += (attenuation / self.view.scale) * chord

    def add_solid(
        self,
        outline: FloatArray,
        thickness: float,
        attenuation: float,
        roundness: float = 1.0,
        edge: float | None = None,
        texture: Picture | None = None,
    ) -> None:
        """A body with a closed outline whose depth rounds off towards it.

        Args:
            outline: (n, 2) or (n, 3) in body coordinates, closed by itself.
            thickness: greatest depth along the ray, in units.
            attenuation: per unit of length, difference to what surrounds it.
            roundness: 1 for an ellipsoid's profile, towards 0 for a plate's.
            edge: distance from the outline over which it rounds off, in units; None for all of it.
            texture: multiplies it, of the map's shape.
        """
        profile, box = self.profile(outline, roundness, edge)
        if profile is None:
            return
        (top, bottom), (left, right) = box
        if texture is not None:
            profile = profile * texture[top:bottom, left:right]
        self.values[top:bottom, left:right] += np.float32(attenuation * thickness) * profile

    def profile(
        self, outline: FloatArray, roundness: float = 1.0, edge: float | None = None
    ) -> tuple[Picture | None, tuple[tuple[int, int], tuple[int, int]]]:
        """Depth of such a body as a share of its thickness, and the rows and columns that it covers."""
        points = self.view.project(outline)
        box = _box(points, 2, self.values.shape)
        if box is None:
            return None, ((0, 0), (0, 0))
        (top, bottom), (left, right) = box
        mask = np.zeros((bottom - top, right - left), np.uint8)
        corners = np.round((points - 0.5 - (left, top)) * (1 << SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, SUBPIXEL_BITS)
        cover = mask.astype(np.float32) / 255
        if roundness <= 0:
            return cover, box
        padded = cv2.copyMakeBorder((mask > 127).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
        reach = float(distance.max()) if edge is None else edge * self.view.scale
        share = np.clip(distance / max(reach, 1e-3), 0, 1)
        depth = np.sqrt(np.clip(share * (2 - share), 0, 1))
        return cover * ((1 - roundness) + roundness * depth), box


def _box(points: FloatArray, margin: float, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    low, high = np.floor(points.min(0) - margin).astype(int), np.ceil(points.max(0) + margin).astype(int)
    left, top = max(0, low[0]), max(0, low[1])
    right, bottom = min(shape[1], high[0]), min(shape[0], high[1])
    if right - left < 2 or bottom - top < 2:
        return None
    return (top, bottom), (left, right)


def _paint_segment(
    outer: Picture, inner: Picture | None, a: FloatArray, b: FloatArray, r0: float, r1: float, wall: float
) -> None:
    """Greatest chord of a cone frustum with round ends; ``a``, ``b`` and radii in pixels of the arrays."""
    box = _box(np.array([a, b]), max(r0, r1) + 1.5, outer.shape)
    if box is None:
        return
    (top, bottom), (left, right) = box
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - a[1])
    x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - a[0])
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    along = np.clip((x * dx + y * dy) / max(float(dx * dx + dy * dy), 1e-6), 0, 1)
    squared = (x - along * dx) ** 2 + (y - along * dy) ** 2
    radius = np.float32(r0) + along * np.float32(r1 - r0)
    _keep_longer(outer[top:bottom, left:right], radius, squared)
    if inner is not None:
        _keep_longer(inner[top:bottom, left:right], radius * np.float32(1 - wall), squared)


def _keep_longer(target: Picture, radius: Picture, squared: Picture) -> None:
    np.maximum(target, 2 * np.sqrt(np.maximum(radius * radius - squared, 0)), out=target)
