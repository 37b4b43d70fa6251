"""What a photograph of a screen and its rectification leave in a flat radiograph: an augmentation of pictures.

The pixels stay where they are but for what a small error of the corners moves (0.1 % of the diagonal), so that
landmarks need no change.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
Field: TypeAlias = NDArray[np.float32]

CORNER_ERROR = 0.001
"""Standard deviation of a corner's coordinate, as a fraction of the diagonal."""


def degrade(picture: Picture, rng: np.random.Generator) -> Picture:
    """A flat radiograph as it comes back from a photograph of a screen.

    Args:
        picture: (h, w) grey.
        rng: all that is random is drawn from it.

    Returns:
        (h, w), the same scene with moiré, glare, blur, noise, JPEG artefacts and other grey levels.
    """
    height, width = picture.shape
    moved = _with_corner_error(picture, rng)
    light = _screen_light(moved, rng)
    if rng.random() < 0.7:
        light *= moire((height, width), rng, float(np.exp(rng.uniform(np.log(0.01), np.log(0.3)))))
    light = _through_the_lens(light, rng)
    if rng.random() < 0.6:
        light += glare((height, width), rng)
    light *= uneven_light((height, width), rng)
    return _developed(light, rng)


def moire(shape: tuple[int, int], rng: np.random.Generator, strength: float) -> Field:
    """A factor about 1, (h, w): beats between the monitor's pixels and the sensor's, as one to three bent gratings."""
    height, width = shape
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    bend = rng.uniform(-1.0, 1.0, 3).astype(np.float32)
    bent = bend[0] * x * x + bend[1] * y * y + bend[2] * x * y
    pattern = np.ones(shape, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        cycles = np.float32(np.exp(rng.uniform(np.log(4.0), np.log(max(8.0, min(shape) / 3.0)))))
        angle = rng.uniform(0.0, np.pi)
        along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + np.float32(rng.uniform(0, 0.3)) * bent
        phase = along * (np.float32(np.pi) * cycles) + np.float32(rng.uniform(0, 2 * np.pi))
        pattern += np.float32(strength * rng.uniform(0.3, 1.0)) * np.cos(phase)
    return pattern


def glare(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Light that the glass reflects, (h, w), to be added: a window, a lamp, the haze of the room."""
    small = np.zeros((24, 24), np.float32)
    small += np.float32(rng.uniform(0.0, 0.06))
    y, x = np.mgrid[0:24, 0:24].astype(np.float32) / 23.0
    for _ in range(int(rng.integers(0, 3))):
        cx, cy = rng.uniform(-0.1, 1.1, 2)
        sx, sy = np.exp(rng.uniform(np.log(0.05), np.log(0.4), 2))
        turn = rng.uniform(0, np.pi)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        small += np.exp(-((u / sx) ** 2 + (v / sy) ** 2)).astype(np.float32) * np.float32(rng.uniform(0.03, 0.3))
    if rng.random() < 0.3:
        small += np.float32(rng.uniform(0, 0.1)) * cv2.GaussianBlur(rng.random((24, 24), np.float32), (0, 0), 3)
    return _enlarged(small, shape)


def uneven_light(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A factor, (h, w): the monitor seen at an angle, and the lens's vignette."""
    y, x = np.mgrid[0:16, 0:16].astype(np.float32) / 15.0 - 0.5
    slope = rng.normal(0.0, 0.15, 2)
    small = 1.0 + slope[0] * x + slope[1] * y - rng.uniform(0.0, 0.3) * (x * x + y * y)
    return _enlarged(small.astype(np.float32), shape)


def jpeg(picture: Picture, quality: int) -> Picture:
    """The picture after a JPEG file of this quality; (h, w) or (h, w, 3)."""
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    flag = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
    return np.asarray(cv2.imdecode(content, flag), np.uint8)


def motion_kernel(length: float, angle: float) -> Field:
    """The path of a shaking hand, a normalised kernel; length in pixels."""
    side = int(np.ceil(length)) // 2 * 2 + 3
    centre = (side - 1) / 2.0
    reach = length / 2.0 * np.array([np.cos(angle), np.sin(angle)])
    kernel = np.zeros((side, side), np.float32)
    for part in np.linspace(-1.0, 1.0, 4 * side):
        x, y = centre + part * reach
        left, top = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - left, y - top
        weights = np.outer([1 - fy, fy], [1 - fx, fx])
        kernel[top : top + 2, left : left + 2] += weights[: side - top, : side - left].astype(np.float32)
    return kernel / np.float32(kernel.sum())


def _with_corner_error(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    error = rng.normal(0.0, CORNER_ERROR * np.hypot(height, width), (4, 2)).astype(np.float32)
    transform = cv2.getPerspectiveTransform(corners, corners + error)
    bezel = float(rng.choice([12.0, 60.0, 200.0]))
    moved = cv2.warpPerspective(picture, transform, (width, height), flags=cv2.INTER_LINEAR, borderValue=(bezel,))
    return np.asarray(moved, np.uint8)


def _screen_light(picture: Picture, rng: np.random.Generator) -> Field:
    """Linear light of the monitor: its gamma, and a black that glows."""
    gamma = rng.uniform(1.6, 2.6)
    black = rng.uniform(0.0, 0.03)
    table = black + (1.0 - black) * (np.arange(256) / 255.0) ** gamma
    return np.asarray(table.astype(np.float32)[picture], np.float32)


def _through_the_lens(light: Field, rng: np.random.Generator) -> Field:
    """Out of focus, shaken, or taken with fewer pixels than the radiograph has."""
    height, width = light.shape
    if rng.random() < 0.5:
        smaller = rng.uniform(0.35, 1.0)
        size = (max(8, round(width * smaller)), max(8, round(height * smaller)))
        light = cv2.resize(light, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    blur = rng.uniform(0.0, 1.6) * max(0.6, min(height, width) / 768.0)
    if blur > 0.3:
        light = cv2.GaussianBlur(light, (0, 0), blur).astype(np.float32)
    if rng.random() < 0.3:
        length = rng.uniform(1.5, 6.0) * max(0.6, min(height, width) / 768.0)
        light = cv2.filter2D(light, -1, motion_kernel(length, rng.uniform(0, np.pi))).astype(np.float32)
    return light


def _developed(light: Field, rng: np.random.Generator) -> Picture:
    """Exposure, the sensor's noise, the camera's tone curve, and JPEG."""
    light = np.maximum(light, 0.0) * np.float32(np.exp(rng.normal(0.0, 0.25)))
    noise = rng.standard_normal(light.shape, np.float32)
    if rng.random() < 0.5:
        noise = cv2.blur(noise, (2, 2)).astype(np.float32) * np.float32(2.0)
    strength = rng.uniform(0.0, 0.025)
    light += noise * np.sqrt(light * np.float32(strength**2) + np.float32((0.3 * strength) ** 2))
    grey = np.clip(light, 0.0, 1.0) ** np.float32(1.0 / rng.uniform(1.8, 2.6))
    if rng.random() < 0.4:
        grey += np.float32(rng.uniform(0.0, 0.6)) * (grey * grey * (3.0 - 2.0 * grey) - grey)
    if rng.random() < 0.3:
        grey += np.float32(rng.uniform(0.2, 1.0)) * (grey - cv2.GaussianBlur(grey, (0, 0), 1.5))
    developed = np.clip(grey * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return jpeg(developed, int(rng.integers(35, 96)))


def _enlarged(small: Field, shape: tuple[int, int]) -> Field:
    return np.asarray(cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)
