"""A photograph of a monitor that shows a radiograph, with the exact place of the screen's corners.

The corners are those of the lit area (liquid crystals or the like), not of the frame, nor of a window or of the
radiograph within it: it is the only rectangle that is there whatever the monitor shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vhs_screen.camera import Camera, Pose, screen_corners, take, transformed
from vhs_screen.degradation import glare, jpeg, motion_kernel
from vhs_screen.monitor import ASPECTS, draw_monitor, draw_screen
from vhs_screen.rooms import Photographs, draw_room

Picture: TypeAlias = NDArray[np.uint8]
Field: TypeAlias = NDArray[np.float32]
FloatArray: TypeAlias = NDArray[np.float64]

LEAST_MARGIN = 0.004
"""How far inside the photograph each corner of a whole screen lies, as a fraction of the diagonal."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A simulated photograph.

    Attributes:
        picture: (h, w, 3) RGB.
        corners: (4, 2) of the lit area in pixels, TL, TR, BR, BL, the outer corner of the first pixel at (0, 0); some
            lie outside when the screen is cut.
        is_whole: whether all corners are inside.
        aspect: true width by height of the lit area.
        camera: what took it.
        placement: (3, 3) affine map from the radiograph's pixels to the screen's plane.
    """

    picture: Picture
    corners: FloatArray
    is_whole: bool
    aspect: float
    camera: Camera
    placement: FloatArray

    def show(self, points: FloatArray) -> FloatArray:
        """Where points of the radiograph (n, 2), in its pixels, are in the photograph, in pixels."""
        return self.camera.show(transformed(points, self.placement))


def photograph(
    radiograph: Picture,
    rng: np.random.Generator,
    size: tuple[int, int] = (1600, 1200),
    cut: bool = False,
    photographs: Photographs = (),
    steepest: float = 35.0,
) -> Photo:
    """Take a photograph of a monitor that shows this radiograph.

    Args:
        radiograph: (h, w) grey.
        rng: all that is random is drawn from it.
        size: (width, height) of the photograph in pixels.
        cut: the screen reaches beyond the photograph, so that a corner or more is missing.
        photographs: RGB pictures, which some rooms are made of.
        steepest: greatest yaw in degrees; the pitch goes to three quarters of it.
    """
    aspect = float(ASPECTS[int(rng.integers(len(ASPECTS)))])
    camera = _aimed(aspect, size, cut, rng, steepest)
    corners = camera.show(screen_corners(aspect))
    long_side = max(np.hypot(*(corners[1] - corners[0])) / aspect, np.hypot(*(corners[3] - corners[0])))
    rows = int(np.clip(long_side * rng.uniform(0.9, 1.2), 48, 2400))
    ambient = float(np.exp(rng.uniform(np.log(0.02), np.log(0.9))))
    screen = draw_screen(radiograph, round(rows * aspect), rows, rng)
    monitor = draw_monitor(screen.picture, ambient, rng)
    room = draw_room(*size, rng, photographs) * np.float32(ambient)
    light = _seen(camera, aspect, monitor.light, monitor.lit, room, ambient, rng)
    picture = _developed(_shaken(light, rng), rng)
    to_plane = np.diag([aspect / screen.picture.shape[1], 1.0 / screen.picture.shape[0], 1.0])
    return Photo(picture, corners, _is_inside(corners, size), aspect, camera, to_plane @ screen.placement)


def random_size(rng: np.random.Generator, least: int = 640, largest: int = 4000) -> tuple[int, int]:
    """(width, height) of a photograph: lying or upright, of a telephone or a camera."""
    side = int(np.exp(rng.uniform(np.log(least), np.log(largest))))
    other = int(side / float(rng.choice([4 / 3, 4 / 3, 3 / 2, 16 / 9, 1.0])))
    return (side, other) if rng.random() < 0.65 else (other, side)


def _aimed(aspect: float, size: tuple[int, int], cut: bool, rng: np.random.Generator, steepest: float) -> Camera:
    """A camera that has the screen as whole, or as cut, as asked for."""
    for _ in range(200):
        shift = rng.uniform(-1, 1, 2)
        filled = rng.uniform(0.4, 0.97) if rng.random() < 0.85 else rng.uniform(0.25, 0.4)
        if cut:
            filled = rng.uniform(0.6, 1.5)
            shift = rng.uniform(1.0, 4.0, 2) * rng.choice([-1, 0, 1], 2)
        steep = 1.0 if rng.random() < 0.6 else 0.35
        yaw, pitch = rng.uniform(-steepest, steepest) * steep, rng.uniform(-0.75, 0.75) * steepest * steep
        roll = rng.normal(0, 4) if rng.random() < 0.85 else rng.uniform(-25, 25)
        pose = Pose(rng.uniform(45, 80), yaw, pitch, roll, filled, (float(shift[0]), float(shift[1])))
        bend = float(rng.normal(0, 0.008))
        camera = take(pose, aspect, *size, bend)
        corners = camera.show(screen_corners(aspect))
        if not np.isfinite(corners).all() or np.abs(corners).max() > 4 * max(size):
            continue
        if _is_inside(corners, size) != cut and (not cut or _shows_enough(corners, size)):
            return camera
    return take(Pose(filled=2.2 if cut else 0.7), aspect, *size)


def _is_inside(corners: FloatArray, size: tuple[int, int]) -> bool:
    margin = LEAST_MARGIN * np.hypot(*size)
    return bool((corners >= margin).all() and (corners <= np.array(size) - margin).all())


def _shows_enough(corners: FloatArray, size: tuple[int, int]) -> bool:
    """Whether a corner is well outside, and what is left of the screen is a fifth of the photograph."""
    beyond = np.maximum(-corners, corners - np.array(size)).max(1) / np.hypot(*size)
    frame = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    area, _ = cv2.intersectConvexConvex(corners.astype(np.float32), frame)
    return bool(beyond.max() > 0.02 and area > 0.2 * size[0] * size[1])


def _seen(
    camera: Camera,
    aspect: float,
    front: Field,
    lit: tuple[int, int, int, int],
    room: Field,
    ambient: float,
    rng: np.random.Generator,
) -> Field:
    """Linear light on the sensor, (h, w, 3)."""
    x, y = camera.plane_of_pixels()
    left, top, right, bottom = lit
    to_pixels = np.float32((right - left) / aspect), np.float32(bottom - top)
    seen = cv2.remap(
        front,
        x * to_pixels[0] + np.float32(left - 0.5),  # OpenCV counts from the middle of the first pixel
        y * to_pixels[1] + np.float32(top - 0.5),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0, 0),
    ).astype(np.float32)
    on_screen = (x > 0) & (x < aspect) & (y > 0) & (y < 1)
    if rng.random() < 0.75:
        seen[..., :3] *= np.where(on_screen[..., None], _pixel_grid(x, y, rng), np.float32(1))
    if rng.random() < 0.6:
        reflected = glare((room.shape[0], room.shape[1]), rng) * np.float32(min(1.0, 3.0 * ambient))
        seen[..., :3] += np.where(on_screen, reflected, np.float32(0))[..., None]
    return np.asarray(seen[..., :3] + room * (1 - seen[..., 3:]), np.float32)


def _pixel_grid(x: Field, y: Field, rng: np.random.Generator) -> Field:
    """A factor about 1: the screen's rows and coloured columns as the sensor's pixels sample them, hence moiré."""
    rows = np.float32(2 * np.pi * rng.choice([768, 900, 1024, 1080, 1200, 1440, 1536, 2048, 2160]))
    strength = np.float32(np.exp(rng.uniform(np.log(0.01), np.log(0.35))))
    coloured = np.float32(rng.uniform(0, 1) * 2 * np.pi / 3)
    lines = 1 + strength * np.float32(rng.uniform(0.2, 1)) * np.cos(y * rows)
    columns = [1 + strength * np.cos(x * rows - channel * coloured) for channel in range(3)]
    return np.asarray(np.stack([lines * column for column in columns], -1), np.float32)


def _shaken(light: Field, rng: np.random.Generator) -> Field:
    """Out of focus by a pixel or so, moved by the hand, and spread in the lens."""
    scale = max(0.35, np.hypot(*light.shape[:2]) / 2000.0)
    blur = rng.uniform(0.3, 1.6) * scale
    light = cv2.GaussianBlur(light, (0, 0), max(0.3, blur)).astype(np.float32)
    if rng.random() < 0.35:
        light = cv2.filter2D(light, -1, motion_kernel(rng.uniform(1, 7) * scale, rng.uniform(0, np.pi)))
    if rng.random() < 0.5:  # veiling glare of a finger-marked lens
        height, width = light.shape[:2]
        small = cv2.resize(light, (max(4, width // 16), max(4, height // 16)), interpolation=cv2.INTER_AREA)
        veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), max(1.0, small.shape[0] / 12)), (width, height))
        share = np.float32(rng.uniform(0.01, 0.08))
        light = light * (1 - share) + veil * share
    return np.asarray(light, np.float32)


def _developed(light: Field, rng: np.random.Generator) -> Picture:
    """Exposure, white balance, noise, tone curve, sharpening and JPEG."""
    exposure = np.exp(rng.normal(-0.1, 0.35)) / max(0.15, float(np.percentile(light[::4, ::4], 97)))
    light = light * (exposure * np.exp(rng.normal(0, 0.08, 3))).astype(np.float32)
    strength = np.exp(rng.uniform(np.log(0.002), np.log(0.03)))
    noise = rng.standard_normal(light.shape, np.float32)
    light += noise * np.sqrt(np.maximum(light, 0) * np.float32(strength**2) + np.float32((0.2 * strength) ** 2))
    shown = np.clip(light, 0, 1) ** np.float32(1 / rng.uniform(2.0, 2.5))
    if rng.random() < 0.5:
        shown += np.float32(rng.uniform(0, 0.7)) * (shown * shown * (3 - 2 * shown) - shown)
    if rng.random() < 0.5:
        shown += np.float32(rng.uniform(0.2, 1.2)) * (shown - cv2.GaussianBlur(shown, (0, 0), 1.2))
    if rng.random() < 0.2:
        shown = np.repeat(shown.mean(-1, keepdims=True), 3, -1)
    return jpeg(np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8), int(rng.integers(50, 97)))
