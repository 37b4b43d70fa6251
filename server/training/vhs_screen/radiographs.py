"""Flat radiographs to put on a screen: real ones, and drawn ones that only roughly look like one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from vhs.anatomy import sample_thorax
from vhs.exposure import expose

Picture: TypeAlias = NDArray[np.uint8]
Source: TypeAlias = Callable[[np.random.Generator], Picture]

TRAINING_FILES = ("negatives-human-cxr/[1-7]*.png", "feline-vetxray/*001.jpg")
"""Real radiographs that training may see. The others, and every dog, are for the evaluation."""


def read_greys(paths: Sequence[Path]) -> list[Picture]:
    """Grey pictures (h, w) of files that OpenCV reads.

    Raises:
        OSError: one of them cannot be read.
    """
    pictures = []
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise OSError(f"{path} cannot be read as a picture.")
        pictures.append(np.asarray(picture, np.uint8))
    return pictures


def radiograph_source(data: Path | None, thoraxes: Sequence[Picture] = (), largest: int = 1000) -> Source:
    """What gives radiographs for training.

    Args:
        data: folder with ``negatives-human-cxr`` and others, or None to draw all.
        thoraxes: synthetic radiographs; without any, rough drawings take their place.
        largest: longer side of real ones in pixels; larger ones are made smaller once, here.
    """
    paths = [] if data is None else sorted(path for pattern in TRAINING_FILES for path in data.glob(pattern))
    real = [_at_most(picture, largest) for picture in read_greys(paths)]

    def source(rng: np.random.Generator) -> Picture:
        kind = rng.random()
        if kind < 0.25 and real:
            return real[int(rng.integers(len(real)))]
        if kind < 0.75 and len(thoraxes):
            return thoraxes[int(rng.integers(len(thoraxes)))]
        return draw_radiograph(rng)

    return source


def synthetic_thoraxes(count: int, seed: int) -> list[Picture]:
    """Radiographs of the generator that the landmark networks learn from; about 0.2 s each."""
    pictures = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        thorax = sample_thorax(rng)
        pictures.append(np.asarray(expose(thorax.attenuation, rng, thorax.unit), np.uint8))
    return pictures


def draw_radiograph(rng: np.random.Generator, height: int | None = None) -> Picture:
    """A rough likeness of a thorax or of something else on a film, (h, w): a body, a row of bones, ribs, a heart."""
    height = height or int(rng.integers(200, 460))
    width = int(height * rng.uniform(0.75, 1.5))
    scale = np.array([width, height], float)
    light = np.full((height, width), rng.uniform(0.0, 0.1), np.float32)
    for _ in range(int(rng.integers(1, 4))):  # body, limbs
        centre, size = rng.uniform(0.2, 0.8, 2), rng.uniform(0.25, 0.75, 2)
        _add_ellipse(light, centre * scale, size * scale, rng.uniform(-40, 40), rng.uniform(0.1, 0.35), rng)
    for _ in range(int(rng.integers(1, 4))):  # lungs are dark, hearts and bellies are bright
        centre, size = rng.uniform(0.25, 0.75, 2), rng.uniform(0.08, 0.3, 2)
        _add_ellipse(light, centre * scale, size * scale, rng.uniform(0, 180), rng.uniform(-0.2, 0.3), rng)
    _add_ribs(light, rng)
    light = cv2.GaussianBlur(light, (0, 0), 1.0 + height / 400.0)
    _add_spine(light, rng)
    light = cv2.GaussianBlur(light, (0, 0), 0.5 + height / 900.0)
    light += np.float32(rng.uniform(0.0, 0.02)) * rng.standard_normal(light.shape, np.float32)
    grey = np.clip(light, 0, 1) ** np.float32(rng.uniform(0.6, 1.4))
    grey *= np.float32(rng.uniform(0.6, 1.0) / max(float(grey.max()), 0.2))
    return np.asarray(grey * 255, np.uint8)


def varied(picture: Picture, rng: np.random.Generator) -> Picture:
    """The same radiograph shown in another way: mirrored, turned, cut, brighter, inverted, or written on."""
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < 0.1:
        picture = np.rot90(picture, int(rng.integers(1, 4)))
    if rng.random() < 0.4:
        picture = _cut(picture, rng)
    tone = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.3))
    low, high = rng.uniform(0, 0.15), rng.uniform(0.75, 1.0)
    tone = np.clip(low * (rng.random() < 0.3) + (high - low) * tone, 0, 1)
    if rng.random() < 0.1:
        tone = tone[::-1]
    shown = np.ascontiguousarray((tone * 255).astype(np.uint8)[picture])
    if rng.random() < 0.4:
        shown = collimated(shown, rng)
    if rng.random() < 0.5:
        write_on(shown, rng, int(rng.integers(1, 6)))
    return shown


def collimated(picture: Picture, rng: np.random.Generator) -> Picture:
    """The radiograph within a black (or white, or grey) border, straight or turned, sharp or soft."""
    height, width = picture.shape
    inset = rng.uniform(0.0, 0.2, 4) * np.array([width, height, width, height])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    corners += np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * inset[:2]
    turn = np.radians(rng.normal(0, 4)) if rng.random() < 0.6 else 0.0
    middle = corners.mean(0)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = (corners - middle) @ rotation + middle + rng.normal(0, 0.01, (4, 2)) * [width, height]
    mask = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 1.0, cv2.LINE_AA, 4)
    if rng.random() < 0.5:
        mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 4.0))
    border = float(rng.choice([0, 0, 0, 8, 20, 60, 128, 255]))
    framed = mask * picture + (1 - mask) * border
    if rng.random() < 0.3:  # scattered radiation reaches beyond the border
        framed += (1 - mask) * rng.uniform(0, 25) * rng.random((height, width), np.float32)
    return np.asarray(np.clip(framed, 0, 255), np.uint8)


def write_on(picture: Picture, rng: np.random.Generator, lines: int) -> None:
    """Letters and numbers, as a viewer or a marker puts them there; in place."""
    height, width = picture.shape[:2]
    for _ in range(lines):
        text = "".join(rng.choice(list("LRABDEM0123456789 /:-"), int(rng.integers(1, 14))))
        size = height / 700.0 * rng.uniform(0.4, 2.0)
        place = (int(rng.uniform(0, 0.85) * width), int(rng.uniform(0.03, 0.99) * height))
        shade = float(rng.choice([255, 255, 220, 160, 0]))
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (shade,) * 3, max(1, round(size)), cv2.LINE_AA
        )


def _cut(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape
    top, left = (rng.uniform(0, 0.2, 2) * [height, width]).astype(int)
    bottom, right = (rng.uniform(0.8, 1.0, 2) * [height, width]).astype(int)
    return picture[top:bottom, left:right]


def _at_most(picture: Picture, largest: int) -> Picture:
    factor = largest / max(picture.shape)
    if factor >= 1:
        return picture
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _add_ellipse(
    light: NDArray[np.float32],
    centre: NDArray[np.float64],
    size: NDArray[np.float64],
    turn: float,
    amount: float,
    rng: np.random.Generator,
) -> None:
    layer = np.zeros_like(light)
    axes = (max(2, int(size[0])), max(2, int(size[1])))
    cv2.ellipse(layer, (int(centre[0]), int(centre[1])), axes, turn, 0, 360, (float(amount),), -1, cv2.LINE_AA)
    light += cv2.GaussianBlur(layer, (0, 0), rng.uniform(1.0, light.shape[0] / 25.0))


def _add_ribs(light: NDArray[np.float32], rng: np.random.Generator) -> None:
    height, width = light.shape
    layer = np.zeros_like(light)
    count = int(rng.integers(0, 14))
    start, step = rng.uniform(0.1, 0.4) * width, rng.uniform(0.03, 0.07) * width
    for number in range(count):
        centre = (int(start + number * step), int(rng.uniform(0.45, 0.55) * height))
        axes = (int(rng.uniform(0.1, 0.2) * width), int(rng.uniform(0.25, 0.4) * height))
        cv2.ellipse(layer, centre, axes, 0, 90, 270, (0.08,), max(1, int(width * 0.012)), cv2.LINE_AA)
    light += layer


def _add_spine(light: NDArray[np.float32], rng: np.random.Generator) -> None:
    height, width = light.shape
    count = int(rng.integers(0, 20))
    y, slope, bend = rng.uniform(0.1, 0.5), rng.uniform(-0.2, 0.2), rng.uniform(-0.3, 0.3)
    length = rng.uniform(0.03, 0.06) * width
    layer = np.zeros_like(light)
    for number in range(count):
        x = (number + 0.5) * length * 1.15
        middle = (x, (y + slope * x / width + bend * (x / width - 0.5) ** 2) * height)
        box = cv2.boxPoints((middle, (length, length * 0.7), np.degrees(slope) + rng.normal(0, 3)))
        cv2.fillConvexPoly(layer, box.astype(np.int32), (rng.uniform(0.1, 0.25),), cv2.LINE_AA)
    light += layer
