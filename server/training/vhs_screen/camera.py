"""A camera that looks at a flat screen: a pinhole with its principal point in the middle, and a slightly bent image.

The plane of the screen has its own coordinates: the lit area's height is 1, its upper left corner (0, 0), x to the
right, y down. Image coordinates are pixels, the outer corner of the first pixel at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Field: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Camera:
    """One exposure.

    Attributes:
        width, height: of the photograph in pixels.
        homography: (3, 3) from the screen's plane to pixels, as a perfect pinhole would show it.
        bend: ``k`` of the lens: a point at distance r from the middle, in half diagonals, is shown where a perfect
            pinhole would show it at ``r (1 + k r²)``.
    """

    width: int
    height: int
    homography: FloatArray
    bend: float = 0.0

    @property
    def centre(self) -> FloatArray:
        return np.array([self.width, self.height]) / 2.0

    @property
    def half_diagonal(self) -> float:
        return float(np.hypot(self.width, self.height)) / 2.0

    def show(self, points: FloatArray) -> FloatArray:
        """Where points of the plane (n, 2) appear, in pixels (n, 2)."""
        ideal = transformed(points, self.homography) - self.centre
        distance = np.hypot(ideal[:, 0], ideal[:, 1]) / self.half_diagonal
        seen = distance.copy()
        for _ in range(30):  # Newton on seen (1 + k seen²) = distance
            seen -= (seen * (1 + self.bend * seen**2) - distance) / (1 + 3 * self.bend * seen**2)
        shrink = np.where(distance > 0, seen / np.maximum(distance, 1e-12), 1.0)
        return np.asarray(ideal * shrink[:, None] + self.centre, float)

    def plane_of_pixels(self) -> tuple[Field, Field]:
        """The place in the plane that the middle of every pixel shows: x and y, (height, width) each."""
        x = np.arange(self.width, dtype=np.float32)[None, :] + np.float32(0.5 - self.centre[0])
        y = np.arange(self.height, dtype=np.float32)[:, None] + np.float32(0.5 - self.centre[1])
        stretch = 1 + np.float32(self.bend / self.half_diagonal**2) * (x * x + y * y)
        x, y = x * stretch, y * stretch
        shift = np.array([[1, 0, self.centre[0]], [0, 1, self.centre[1]], [0, 0, 1.0]])
        back = np.linalg.inv(self.homography) @ shift
        a = (back / back[2, 2]).astype(np.float32)
        depth = a[2, 0] * x + a[2, 1] * y + a[2, 2]
        depth = np.where(np.abs(depth) < 1e-6, np.float32(1e-6), depth)
        return (a[0, 0] * x + a[0, 1] * y + a[0, 2]) / depth, (a[1, 0] * x + a[1, 1] * y + a[1, 2]) / depth


@dataclass(frozen=True)
class Pose:
    """How the camera is held.

    Attributes:
        field_of_view: angle that the longer side of the photograph sees, in degrees.
        yaw, pitch, roll: of the screen, in degrees.
        filled: the lit area's bounding box as a fraction of the photograph, in the direction that fits more closely.
        shift: of the lit area's middle from the photograph's, as a fraction of the room that is left (-1 to 1), or
            beyond: then the screen is cut.
    """

    field_of_view: float = 65.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    filled: float = 0.7
    shift: tuple[float, float] = (0.0, 0.0)


def take(pose: Pose, aspect: float, width: int, height: int, bend: float = 0.0) -> Camera:
    """The camera that shows a screen of this aspect ratio (width / height) like that.

    The screen is moved sideways in space, not in the photograph: the principal point stays in the middle.
    """
    focal = max(width, height) / 2.0 / np.tan(np.radians(pose.field_of_view) / 2.0)
    intrinsic = np.array([[focal, 0, width / 2.0], [0, focal, height / 2.0], [0, 0, 1.0]])
    rotation = _rotation(pose)
    middle = np.array([aspect / 2.0, 0.5, 0.0])
    corners = screen_corners(aspect)
    room = np.array([width, height], float)
    position = np.array([0.0, 0.0, 2.5 * max(1.0, aspect) * focal / max(width, height)])
    homography = np.eye(3)
    for _ in range(60):
        moved = position - rotation @ middle
        homography = intrinsic @ np.column_stack([rotation[:, 0], rotation[:, 1], moved])
        seen = transformed(corners, homography)
        low, high = seen.min(0), seen.max(0)
        size = high - low
        position[2] *= float((size / room).max()) / pose.filled
        wanted = room / 2.0 + np.array(pose.shift) * np.maximum(room - size, 0.08 * room) / 2.0
        position[:2] += (wanted - (low + high) / 2.0) * position[2] / focal
    return Camera(width, height, homography, bend)


def screen_corners(aspect: float) -> FloatArray:
    """The lit area's corners in the plane: TL, TR, BR, BL."""
    return np.array([[0.0, 0.0], [aspect, 0.0], [aspect, 1.0], [0.0, 1.0]])


def transformed(points: FloatArray, homography: FloatArray) -> FloatArray:
    """Points (n, 2) through a homography."""
    raised = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(raised[:, :2] / raised[:, 2:], float)


def _rotation(pose: Pose) -> FloatArray:
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1.0]])
    return np.asarray(about_z @ about_x @ about_y, float)
