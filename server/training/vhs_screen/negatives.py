"""Pictures in which there is no screen: flat radiographs, screenshots, documents, rooms, and nothing at all."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vhs_screen.degradation import degrade, jpeg
from vhs_screen.monitor import draw_screen
from vhs_screen.radiographs import Source, varied
from vhs_screen.rooms import Photographs, draw_room

Picture: TypeAlias = NDArray[np.uint8]


def draw_negative(source: Source, rng: np.random.Generator, side: int, photographs: Photographs = ()) -> Picture:
    """A picture (h, w, 3) whose longer side is about ``side`` pixels and which shows no screen.

    Args:
        source: gives flat radiographs.
        photographs: RGB pictures of other things.
    """
    kind = rng.random()
    if kind < 0.6:
        return _coloured(_radiograph(source, rng, side), rng)
    if kind < 0.72:
        height = int(side * rng.uniform(0.5, 1.0))
        return draw_screen(varied(source(rng), rng), side, height, rng).picture
    if kind < 0.82:
        return _document(rng, side)
    if kind < 0.95:
        return _room(rng, side, photographs)
    return _nothing(rng, side)


def _radiograph(source: Source, rng: np.random.Generator, side: int) -> Picture:
    picture = varied(source(rng), rng)
    factor = side / max(picture.shape)
    size = (max(8, round(picture.shape[1] * factor)), max(8, round(picture.shape[0] * factor)))
    picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.3:
        picture = _scanned(picture, rng)
    if rng.random() < 0.3:
        picture = degrade(picture, rng)
    return jpeg(picture, int(rng.integers(50, 97))) if rng.random() < 0.5 else picture


def _scanned(picture: Picture, rng: np.random.Generator) -> Picture:
    """A film on a scanner's glass, or a picture with a frame: turned a little on a plain ground."""
    height, width = picture.shape
    shrink, turn = rng.uniform(0.75, 1.0), rng.normal(0, 2) * (rng.random() < 0.7)
    transform = cv2.getRotationMatrix2D((width / 2, height / 2), float(turn), float(shrink))
    transform[:, 2] += rng.uniform(-0.5, 0.5, 2) * (1 - shrink) * [width, height]
    ground = float(rng.choice([0, 0, 255, 255, 30, 128, 200]))
    placed = cv2.warpAffine(picture, transform, (width, height), flags=cv2.INTER_LINEAR, borderValue=(ground,))
    if rng.random() < 0.3:
        box = cv2.boxPoints(((width / 2, height / 2), (width * 0.93, height * 0.93), -float(turn)))
        cv2.polylines(placed, [box.astype(np.int32)], True, (float(rng.integers(0, 256)),), 1 + width // 200)
    return np.asarray(placed, np.uint8)


def _document(rng: np.random.Generator, side: int) -> Picture:
    """A page of text, scanned or on a table."""
    height = int(side * rng.uniform(0.6, 1.0))
    shape = (side, height) if rng.random() < 0.7 else (height, side)
    page = np.full((*shape, 3), rng.uniform(200, 255), np.uint8)
    spacing = shape[0] * rng.uniform(0.02, 0.06)
    for row in np.arange(spacing * 2, shape[0] - spacing, spacing):
        x = shape[1] * 0.08
        while x < shape[1] * rng.uniform(0.6, 0.95):
            word = shape[1] * rng.uniform(0.02, 0.12)
            ends = ((int(x), int(row)), (int(x + word), int(row + spacing * 0.45)))
            cv2.rectangle(page, *ends, (float(rng.uniform(0, 120)),) * 3, -1)
            x += word + shape[1] * 0.015
    if rng.random() < 0.5:
        return page
    room = np.clip(255 * draw_room(shape[1], shape[0], rng), 0, 255).astype(np.uint8)
    edges = np.array([[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]], np.float32)
    inner = edges * 0.8 + rng.normal(0.1, 0.04, (4, 2)).astype(np.float32) * [shape[1], shape[0]]
    transform = cv2.getPerspectiveTransform(edges, inner.astype(np.float32))
    cv2.warpPerspective(page, transform, (shape[1], shape[0]), room, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    return room


def _room(rng: np.random.Generator, side: int, photographs: Photographs) -> Picture:
    height = int(side * rng.uniform(0.5, 1.0))
    width, height = (side, height) if rng.random() < 0.65 else (height, side)
    if len(photographs) and rng.random() < 0.5:
        photograph = photographs[int(rng.integers(len(photographs)))]
        return np.asarray(cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    light = draw_room(width, height, rng, photographs)
    light *= np.float32(rng.uniform(0.5, 1.0) / max(0.05, float(np.percentile(light, 95))))
    light += np.float32(0.01) * rng.standard_normal(light.shape, np.float32)
    shown = np.clip(light, 0, 1) ** np.float32(1 / 2.2) * 255
    return jpeg(shown.astype(np.uint8), int(rng.integers(50, 97)))


def _nothing(rng: np.random.Generator, side: int) -> Picture:
    shape = (int(side * rng.uniform(0.5, 1.0)), side, 3)
    plain = np.full(shape, rng.uniform(0, 255), np.float32)
    plain += np.float32(rng.uniform(0, 60) * (rng.random() < 0.7)) * rng.standard_normal(shape, np.float32)
    return np.clip(plain, 0, 255).astype(np.uint8)


def _coloured(picture: Picture, rng: np.random.Generator) -> Picture:
    """As RGB; some with a tint, as scanned films have."""
    shown = np.repeat(picture[..., None], 3, -1)
    if rng.random() < 0.85:
        return shown
    return np.clip(shown * (1 + rng.normal(0, 0.08, 3)), 0, 255).astype(np.uint8)
