"""What is around a monitor: walls, desks, papers, windows, keyboards; linear light, RGB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
Photographs: TypeAlias = Sequence[NDArray[np.uint8]]

LARGEST_SCENE = 480
"""Longer side, in pixels, at which a room is drawn; it is out of focus and is enlarged for larger photographs."""


def draw_room(width: int, height: int, rng: np.random.Generator, photographs: Photographs = ()) -> Field:
    """A background (height, width, 3), 0 to about 1, under a light of about 1.

    Args:
        photographs: RGB pictures of other things, which some rooms are made of.
    """
    factor = min(1.0, LARGEST_SCENE / max(width, height))
    size = (max(16, round(width * factor)), max(16, round(height * factor)))
    if len(photographs) and rng.random() < 0.25:
        room = _from_photograph(photographs[int(rng.integers(len(photographs)))], size, rng)
    else:
        room = _wall_and_desk(size, rng)
    for _ in range(int(rng.integers(0, 7))):
        _put_thing(room, rng)
    if rng.random() < 0.8:
        room = cv2.GaussianBlur(room, (0, 0), rng.uniform(0.3, 3.0)).astype(np.float32)
    room *= _light(size, rng)
    if factor == 1.0:
        return room
    enlarged = np.asarray(cv2.resize(room, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    grain = cv2.resize(rng.standard_normal((height // 2 + 1, width // 2 + 1), np.float32), (width, height))
    enlarged *= 1 + np.float32(rng.uniform(0, 0.05)) * grain[..., None]
    return np.maximum(enlarged, 0)


def texture(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """A factor about 1, (height, width): plain, mottled, grained like wood, or woven."""
    width, height = size
    kind = rng.integers(4)
    if kind == 0:
        return np.ones((height, width), np.float32)
    coarse = (max(2, int(width / rng.uniform(2, 60))), max(2, int(height / rng.uniform(2, 60))))
    if kind == 1:
        coarse = (max(2, int(width / rng.uniform(40, 160))), max(2, int(height / rng.uniform(2, 8))))
    noise = cv2.resize(rng.standard_normal((coarse[1], coarse[0]), np.float32), size, interpolation=cv2.INTER_LINEAR)
    pattern = 1 + np.float32(rng.uniform(0.03, 0.3)) * noise
    if kind == 2:
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        period = rng.uniform(4, 40)
        pattern += np.float32(0.1) * np.sign(np.sin(x * (6.28 / period))) * np.sign(np.sin(y * (6.28 / period)))
    return np.clip(pattern, 0.1, 2.0).astype(np.float32)


def colour(rng: np.random.Generator, darkest: float = 0.02, brightest: float = 0.8) -> Field:
    """An albedo (3,): mostly greyish, of any brightness."""
    brightness = np.exp(rng.uniform(np.log(darkest), np.log(brightest)))
    tint = 1 + rng.normal(0, 0.25 if rng.random() < 0.4 else 0.06, 3)
    return np.clip(brightness * tint, 0.0, 1.0).astype(np.float32)


def _wall_and_desk(size: tuple[int, int], rng: np.random.Generator) -> Field:
    width, height = size
    room = texture(size, rng)[..., None] * colour(rng)
    if rng.random() < 0.6:
        edge = rng.uniform(0.5, 1.0) * height
        slope = rng.normal(0, 0.06) * width
        polygon = np.array([[0, edge], [width, edge + slope], [width, 2 * height], [0, 2 * height]])
        desk = texture(size, rng)[..., None] * colour(rng)
        mask = np.zeros((height, width), np.float32)
        cv2.fillConvexPoly(mask, polygon.astype(np.int32), 1.0, cv2.LINE_AA)
        room = room * (1 - mask[..., None]) + desk * mask[..., None]
    return room.astype(np.float32)


def _from_photograph(photograph: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator) -> Field:
    width, height = size
    zoom = rng.uniform(0.3, 1.0)
    part = (int(photograph.shape[1] * zoom), int(photograph.shape[0] * zoom))
    left = int(rng.integers(0, photograph.shape[1] - part[0] + 1))
    top = int(rng.integers(0, photograph.shape[0] - part[1] + 1))
    cut = photograph[top : top + part[1], left : left + part[0]]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    resized = cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=cv2.INTER_AREA)
    return ((resized / np.float32(255)) ** np.float32(2.2)).astype(np.float32)


def _put_thing(room: Field, rng: np.random.Generator) -> None:
    """A sheet of paper, a window, a box, a cable or a keyboard; in place."""
    height, width = room.shape[:2]
    kind = rng.integers(4)
    shade = colour(rng) * (rng.uniform(1.0, 3.0) if rng.random() < 0.15 else 1.0)
    if kind == 0:
        points = rng.uniform(-0.1, 1.1, (int(rng.integers(2, 5)), 2)) * [width, height]
        thickness = int(rng.integers(1, 5))
        cv2.polylines(room, [points.astype(np.int32)], False, shade.tolist(), thickness, cv2.LINE_AA)
        return
    corners = _any_quadrilateral(rng) * [width, height]
    cv2.fillConvexPoly(room, corners.astype(np.int32), shade.tolist(), cv2.LINE_AA)
    if kind >= 2:
        _draw_rows(room, corners, colour(rng).tolist(), rng)
    if rng.random() < 0.3:
        cv2.polylines(room, [corners.astype(np.int32)], True, colour(rng).tolist(), 2, cv2.LINE_AA)


def _draw_rows(room: Field, corners: NDArray[np.float64], ink: list[float], rng: np.random.Generator) -> None:
    """Rows of small boxes in a quadrilateral: lines of text, or keys."""
    rows, columns = int(rng.integers(3, 12)), int(rng.integers(4, 16))
    top_left, top_right, bottom_right, bottom_left = corners
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.2:
                continue
            u = (column + np.array([0.1, 0.9, 0.9, 0.1])) / columns * 0.9 + 0.05
            v = (row + np.array([0.25, 0.25, 0.75, 0.75])) / rows * 0.9 + 0.05
            u, v = u[:, None], v[:, None]
            box = (top_left * (1 - u) + top_right * u) * (1 - v) + (bottom_left * (1 - u) + bottom_right * u) * v
            cv2.fillConvexPoly(room, box.astype(np.int32), ink, cv2.LINE_AA)


def _any_quadrilateral(rng: np.random.Generator) -> NDArray[np.float64]:
    """Corners (4, 2) as fractions of the picture."""
    centre, half = rng.uniform(0, 1, 2), rng.uniform(0.04, 0.3, 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1.0]]) * half + rng.normal(0, 0.02, (4, 2))
    turn = rng.normal(0, 0.4)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(corners @ rotation + centre, float)


def _light(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """Where the lamps shine, (height, width, 1)."""
    coarse = 1 + 0.4 * rng.standard_normal((3, 3)).astype(np.float32)
    light = cv2.resize(np.maximum(coarse, 0.1), size, interpolation=cv2.INTER_CUBIC)
    return np.maximum(light, 0.05).astype(np.float32)[..., None]
