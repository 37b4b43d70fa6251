"""A monitor that shows a radiograph: what is on its screen, and the frame around that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vhs_screen.radiographs import write_on
from vhs_screen.rooms import colour

Picture: TypeAlias = NDArray[np.uint8]
Field: TypeAlias = NDArray[np.float32]
FloatArray: TypeAlias = NDArray[np.float64]

ASPECTS = (16 / 9, 16 / 9, 16 / 9, 16 / 10, 16 / 10, 4 / 3, 4 / 3, 5 / 4, 3 / 2, 3 / 4, 4 / 5, 9 / 16, 21 / 9)
"""Width by height of the lit area; monitors for radiographs often stand upright."""


@dataclass(frozen=True, eq=False)
class Screen:
    """What the lit area shows.

    Attributes:
        picture: (h, w, 3) RGB.
        placement: (3, 3) affine map from the radiograph's pixels to the screen's.
    """

    picture: Picture
    placement: FloatArray


@dataclass(frozen=True, eq=False)
class Monitor:
    """The front of a monitor.

    Attributes:
        light: (h, w, 4) linear RGB multiplied by the fourth channel, which is 1 where the monitor is.
        lit: left, top, right, bottom of the lit area in pixels of ``light``.
    """

    light: Field
    lit: tuple[int, int, int, int]


def draw_screen(radiograph: Picture, width: int, height: int, rng: np.random.Generator) -> Screen:
    """Show a radiograph on a screen of this many pixels: over all of it, letterboxed, or within a viewer's window."""
    way = rng.random()
    if way < 0.3:
        picture = np.zeros((height, width, 3), np.uint8)
        placement = _show(picture, radiograph, (0, 0, width, height), rng, fill=True)
    elif way < 0.65:
        shade = float(rng.choice([0, 0, 0, 10, 30, 60, 128, 230]))
        picture = np.full((height, width, 3), shade, np.uint8)
        margin = int(rng.uniform(0, 0.05) * height) if rng.random() < 0.4 else 0
        placement = _show(picture, radiograph, (margin, margin, width - margin, height - margin), rng)
    else:
        picture, placement = _viewer(radiograph, width, height, rng)
    if rng.random() < 0.4:
        write_on(picture, rng, int(rng.integers(1, 9)))
    if rng.random() < 0.2:
        bar = max(2, int(height * rng.uniform(0.025, 0.05)))
        picture[height - bar :] = np.clip(255 * colour(rng), 0, 255)
    return Screen(picture, placement)


def draw_monitor(screen: Picture, ambient: float, rng: np.random.Generator) -> Monitor:
    """Put a frame around a screen.

    Args:
        screen: (h, w, 3) RGB.
        ambient: light that a white wall would send back, where the screen's white is 1.
    """
    height, width = screen.shape[:2]
    left, top, right, bottom = _frame_widths(height, rng)
    stand = int(height * rng.uniform(0.1, 0.3)) if rng.random() < 0.5 else 0
    shape = (top + height + bottom + stand, left + width + right)
    light = np.zeros((*shape, 4), np.float32)
    front = light[: top + height + bottom]
    front[..., 3] = 1.0
    albedo = _frame_colour(rng)
    front[..., :3] = albedo * np.float32(ambient)
    front[..., :3] *= np.linspace(rng.uniform(0.6, 1.4), 1.0, front.shape[0], dtype=np.float32)[:, None, None]
    _draw_details(light, (left, top, left + width, top + height), bottom, ambient, rng)
    if stand:
        half = rng.uniform(0.05, 0.2) * width
        middle = left + width / 2
        light[top + height + bottom :, int(middle - half) : int(middle + half)] = [*(albedo * ambient).tolist(), 1.0]
    gamma, black = rng.uniform(1.9, 2.4), np.exp(rng.uniform(np.log(0.001), np.log(0.012)))
    table = (black + (1 - black) * (np.arange(256) / 255.0) ** gamma).astype(np.float32)
    shown = table[screen] * (1 + rng.normal(0, 0.05, 3)).astype(np.float32)
    surface = np.exp(rng.uniform(np.log(0.003), np.log(0.04)))  # reflects the room
    shown += np.float32(ambient * surface)
    light[top : top + height, left : left + width, :3] = shown
    return Monitor(light, (left, top, left + width, top + height))


def _frame_widths(height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    side = round(height * np.exp(rng.uniform(np.log(0.006), np.log(0.09))))
    top = max(1, int(side * rng.uniform(0.6, 1.3)))
    bottom = max(1, int(side * rng.uniform(0.8, 1.5)))
    if rng.random() < 0.4:
        bottom += int(height * rng.uniform(0.02, 0.12))
    return max(1, side), top, max(1, side), bottom


def _frame_colour(rng: np.random.Generator) -> Field:
    kind = rng.random()
    if kind < 0.6:
        return colour(rng, 0.012, 0.08)
    return colour(rng, 0.3, 0.9) if kind < 0.85 else colour(rng, 0.05, 0.4)


def _draw_details(
    light: Field, lit: tuple[int, int, int, int], bottom: int, ambient: float, rng: np.random.Generator
) -> None:
    """The glass's black rim, a lip that catches light, a maker's name, a lamp; in place."""
    left, top, right, low = lit
    height = low - top
    if rng.random() < 0.35:
        rim = max(1, int(height * rng.uniform(0.004, 0.02)))
        box = light[max(0, top - rim) : low + rim, max(0, left - rim) : right + rim]
        box[..., :3] = np.float32(ambient * rng.uniform(0.008, 0.04))
        box[..., 3] = 1.0
    if rng.random() < 0.3:
        shine = (np.array([1, 1, 1]) * ambient * rng.uniform(0.05, 1.0)).tolist()
        width = max(1, int(height * rng.uniform(0.001, 0.004)))
        away = int(height * rng.uniform(0.0, 0.03)) + width
        cv2.rectangle(light, (left - away, top - away), (right + away, low + away), [*shine, 1.0], width)
    if bottom > height * 0.03 and rng.random() < 0.6:
        chin = light[low : low + bottom]
        name = np.zeros(chin.shape[:2], np.uint8)  # OpenCV writes on bytes only
        place = ((left + right) // 2 - bottom, int(bottom * 0.7))
        cv2.putText(name, "ABCDE", place, cv2.FONT_HERSHEY_SIMPLEX, bottom / 60.0, (255,), max(1, bottom // 25))
        chin[name > 0, :3] = colour(rng) * np.float32(ambient)
        if rng.random() < 0.5:
            lamp = (int(right - 0.05 * height), low + bottom // 2)
            cv2.circle(light, lamp, max(1, bottom // 12), [*rng.uniform(0, 1, 3).tolist(), 1.0], -1, cv2.LINE_AA)


def _viewer(radiograph: Picture, width: int, height: int, rng: np.random.Generator) -> tuple[Picture, FloatArray]:
    """A viewer's window with bars and panels around one or two radiographs."""
    dark = rng.random() < 0.65
    low, high = (5, 70) if dark else (150, 250)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.clip(rng.uniform(low, high) + rng.normal(0, 4, 3), 0, 255)
    left = int(width * rng.uniform(0, 0.22)) if rng.random() < 0.6 else 0
    right = int(width * rng.uniform(0, 0.22)) if rng.random() < 0.4 else 0
    top = int(height * rng.uniform(0.02, 0.12)) if rng.random() < 0.8 else 0
    bottom = int(height * rng.uniform(0.02, 0.08)) if rng.random() < 0.5 else 0
    for box in ((0, 0, left, height), (width - right, 0, width, height), (0, 0, width, top)):
        _draw_panel(picture, box, rng, low, high)
    view = (left, top, width - right, height - bottom)
    picture[view[1] : view[3], view[0] : view[2]] = float(rng.choice([0, 0, 0, 20, 60]))
    if rng.random() < 0.15:
        middle = (view[0] + view[2]) // 2
        _show(picture, np.ascontiguousarray(radiograph[:, ::-1]), (middle + 2, view[1], view[2], view[3]), rng)
        view = (view[0], view[1], middle - 2, view[3])
    return picture, _show(picture, radiograph, view, rng)


def _draw_panel(
    picture: Picture, box: tuple[int, int, int, int], rng: np.random.Generator, low: float, high: float
) -> None:
    left, top, right, bottom = box
    if right - left < 4 or bottom - top < 4:
        return
    picture[top:bottom, left:right] = np.clip(rng.uniform(low, high) + rng.normal(0, 6, 3), 0, 255)
    for _ in range(int(rng.integers(0, 14))):
        x, y = int(rng.uniform(left, right)), int(rng.uniform(top, bottom))
        w, h = (rng.uniform(0.02, 0.5, 2) * min(right - left, bottom - top)).astype(int)
        end = (min(right - 1, x + int(w)), min(bottom - 1, y + int(h)))
        cv2.rectangle(picture, (x, y), end, rng.uniform(0, 255, 3).tolist(), int(rng.choice([-1, 1])))


def _show(
    picture: Picture,
    radiograph: Picture,
    box: tuple[int, int, int, int],
    rng: np.random.Generator,
    fill: bool = False,
) -> FloatArray:
    """Draw the radiograph into a box (left, top, right, bottom), as large as it goes or filling it; where it went."""
    left, top, right, bottom = box
    height, width = radiograph.shape
    scales = ((right - left) / width, (bottom - top) / height)
    scale = max(scales) if fill else min(scales) * (rng.uniform(0.8, 1.0) if rng.random() < 0.2 else 1.0)
    x = (left + right) / 2 - scale * width / 2
    y = (top + bottom) / 2 - scale * height / 2
    source = radiograph
    if scale < 1:  # area averages first, so that fine grain does not alias
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        source = np.asarray(cv2.resize(radiograph, size, interpolation=cv2.INTER_AREA), np.uint8)
    exact = np.array([[scale * width / source.shape[1], 0, x], [0, scale * height / source.shape[0], y]])
    centred = exact.copy()  # OpenCV counts from the middle of the first pixel
    centred[:, 2] += exact[:, :2].sum(1) * 0.5 - 0.5 - np.array([left, top])
    part = picture[top:bottom, left:right]
    shown = cv2.warpAffine(source, centred, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.full_like(source, 255), centred, (right - left, bottom - top), flags=cv2.INTER_NEAREST)
    part[inside > 0] = shown[inside > 0][:, None]
    return np.array([[scale, 0, x], [0, scale, y], [0, 0, 1.0]])
