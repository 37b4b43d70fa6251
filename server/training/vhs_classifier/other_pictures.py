"""Pictures that are no radiographs: rooms, documents, screens, icons, CT-like slices, textures, noise and nothing."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from vhs.textures import cloud
from vhs_screen.rooms import draw_room

Picture = NDArray[np.uint8]
SIDE = 160
"""Longer side of a drawn picture, in pixels."""


def draw_other(rng: np.random.Generator) -> Picture:
    """One of them, grey."""
    names = list(_KINDS)
    return draw_kind(names[int(rng.integers(len(names)))], rng)


def draw_kind(name: str, rng: np.random.Generator) -> Picture:
    """The kind of that name, a key of `kinds`."""
    return np.clip(_KINDS[name](rng), 0, 255).astype(np.uint8)


def kinds() -> list[str]:
    """Names of what can be drawn."""
    return list(_KINDS)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width."""
    other = int(SIDE * rng.uniform(0.5, 1.0))
    return (SIDE, other) if rng.random() < 0.4 else (other, SIDE)


def _blank(rng: np.random.Generator) -> NDArray[np.float32]:
    height, width = _size(rng)
    slope = np.linspace(0, rng.uniform(0, 200), width) if rng.random() < 0.6 else np.zeros(width)
    picture = np.add.outer(np.linspace(0, rng.uniform(0, 120), height), slope) + rng.uniform(0, 255)
    if rng.random() < 0.3:
        y, x = np.mgrid[0:height, 0:width]
        centre = rng.uniform(0, 1, 2) * (height, width)
        picture = 255 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / rng.uniform(20, 150) ** 2)
    return np.asarray(picture, np.float32)


def _noise(rng: np.random.Generator) -> NDArray[np.float32]:
    picture = rng.standard_normal(_size(rng)).astype(np.float32)
    blur = rng.uniform(0, 12)
    if blur > 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    return picture / max(float(picture.std()), 1e-6) * rng.uniform(2, 90) + rng.uniform(20, 220)


def _texture(rng: np.random.Generator) -> NDArray[np.float32]:
    shape = _size(rng)
    picture = cloud(rng, shape, rng.uniform(1, 8), rng.uniform(10, 200), rng.uniform(0.1, 1.4))
    if rng.random() < 0.4:
        y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 40)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / period * 6.28 + picture * rng.uniform(0, 1.5))
        picture = picture * rng.uniform(0, 0.6) + (np.sign(wave) if rng.random() < 0.4 else wave)
    return picture * rng.uniform(15, 70) + rng.uniform(60, 200)


def _room(rng: np.random.Generator) -> NDArray[np.float32]:
    height, width = _size(rng)
    light = draw_room(width, height, rng).mean(axis=2)
    light = light * rng.uniform(0.5, 1.1) / max(float(np.percentile(light, 97)), 0.03)
    return np.clip(light, 0, 1) ** 0.45 * 255 + rng.normal(0, rng.uniform(0, 8), light.shape).astype(np.float32)


def _scene(rng: np.random.Generator) -> NDArray[np.float32]:
    """Sky, ground and things with light and shadow."""
    height, width = _size(rng)
    horizon = int(height * rng.uniform(0.2, 0.9))
    picture = np.empty((height, width), np.float32)
    picture[:horizon] = np.linspace(rng.uniform(100, 255), rng.uniform(100, 255), horizon)[:, None]
    picture[horizon:] = rng.uniform(20, 200)
    picture[horizon:] += cloud(rng, (height - horizon, width), 1, 30, 0.3) * rng.uniform(3, 25)
    for _ in range(int(rng.integers(1, 14))):
        centre = rng.uniform(0, 1, 2) * (width, height)
        radii = np.exp(rng.uniform(np.log(4), np.log(70), 2))
        shade = float(rng.uniform(0, 255))
        if rng.random() < 0.5:
            axes = (int(radii[0]), int(radii[1]))
            cv2.ellipse(
                picture, (int(centre[0]), int(centre[1])), axes, rng.uniform(0, 180), 0, 360, shade, -1, cv2.LINE_AA
            )
        else:
            box = cv2.boxPoints(
                ((float(centre[0]), float(centre[1])), (float(radii[0]), float(radii[1]) * 2), rng.uniform(0, 180))
            )
            cv2.fillPoly(picture, [box.astype(np.int32)], shade, cv2.LINE_AA)
    light = cloud(rng, (height, width), 30, 200, 1.0)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.2, 2)) * (1 + 0.15 * light)


def _document(rng: np.random.Generator) -> NDArray[np.float32]:
    height, width = _size(rng)
    paper, ink = rng.uniform(190, 255), rng.uniform(0, 110)
    if rng.random() < 0.15:
        paper, ink = ink, paper
    page = np.full((height, width), paper, np.float32)
    spacing = rng.uniform(4, 16)
    y = spacing * 2
    while y < height - spacing:
        x = width * rng.uniform(0.05, 0.12)
        while x < width * rng.uniform(0.6, 0.98) and rng.random() > 0.02:
            word = rng.uniform(3, 30)
            cv2.rectangle(page, (int(x), int(y)), (int(x + word), int(y + spacing * 0.4)), ink, -1)
            x += word + rng.uniform(2, 5)
        y += spacing * (1 if rng.random() < 0.9 else 3)
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(1, 8))):
            y0 = int(rng.uniform(0, height))
            cv2.line(page, (0, y0), (width, y0 + int(rng.normal(0, 3))), ink, 1, cv2.LINE_AA)
    if rng.random() < 0.3:
        words = "".join(rng.choice(list("ABCDEFG 0123456789"), 8))
        page = _written(page, words, (5, height // 2), rng.uniform(0.5, 1.6), ink, 2)
    return cv2.GaussianBlur(page, (0, 0), rng.uniform(0.2, 1.2)) + rng.normal(0, rng.uniform(0, 6), page.shape).astype(
        np.float32
    )


def _written(
    picture: NDArray[np.float32], words: str, place: tuple[int, int], size: float, ink: float, thickness: int
) -> NDArray[np.float32]:
    page = np.clip(picture, 0, 255).astype(np.uint8)  # OpenCV writes on 8 bits only
    cv2.putText(page, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, int(ink), thickness, cv2.LINE_AA)
    return page.astype(np.float32)


def _screen(rng: np.random.Generator) -> NDArray[np.float32]:
    """A program's window: bars, panels, buttons, a table, a chart."""
    height, width = _size(rng)
    picture = np.full((height, width), rng.uniform(0, 255), np.float32)
    for _ in range(int(rng.integers(4, 22))):
        x, y = rng.uniform(-0.1, 0.95, 2) * (width, height)
        w, h = rng.uniform(0.05, 0.7) * width, rng.uniform(0.03, 0.5) * height
        ends = ((int(x), int(y)), (int(x + w), int(y + h)))
        cv2.rectangle(picture, *ends, rng.uniform(0, 255), -1 if rng.random() < 0.7 else 1)
        for line in range(int(rng.integers(0, 5))):
            start = (int(x + 3), int(y + 4 + 6 * line))
            cv2.rectangle(
                picture, start, (start[0] + int(rng.uniform(4, max(5, w))), start[1] + 2), rng.uniform(0, 255), -1
            )
    if rng.random() < 0.4:
        heights = np.cumsum(rng.normal(0, 6, 30)) + height / 2
        points = np.column_stack([np.linspace(5, width - 5, 30), heights]).astype(np.int32)
        cv2.polylines(picture, [points], False, rng.uniform(0, 255), 1, cv2.LINE_AA)
    return picture


def _icon(rng: np.random.Generator) -> NDArray[np.float32]:
    side = SIDE
    picture = np.full((side, side), float(rng.choice([0, 255, rng.uniform(0, 255)])), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        shade, centre = float(rng.uniform(0, 255)), (int(rng.uniform(35, 125)), int(rng.uniform(35, 125)))
        kind = rng.integers(4)
        if kind == 0:
            cv2.circle(picture, centre, int(rng.uniform(8, 90)), shade, int(rng.choice([-1, 3, 9])), cv2.LINE_AA)
        elif kind == 1:
            points = (rng.uniform(0, side, (int(rng.integers(3, 9)), 2))).astype(np.int32)
            cv2.fillPoly(picture, [points], shade, cv2.LINE_AA)
        elif kind == 2:
            letter = str(rng.choice(list("ABCDRX?!&7")))
            picture = _written(picture, letter, (20, 135), 5, shade, int(rng.integers(6, 24)))
        else:
            corner = (centre[0] + 60, centre[1] + 40)
            cv2.rectangle(picture, centre, corner, shade, int(rng.choice([-1, 4])))
    return picture


def _slice(rng: np.random.Generator) -> NDArray[np.float32]:
    """An axial slice as CT or MR show it: a body in air, organs, vertebra and ribs as bright cuts, a table."""
    picture = np.full((SIDE, SIDE), rng.uniform(0, 12), np.float32)
    middle, radii = (
        (SIDE // 2 + int(rng.normal(0, 6)), SIDE // 2 + int(rng.normal(0, 6))),
        (int(rng.uniform(44, 78)), int(rng.uniform(32, 64))),
    )
    soft, lung, bone = rng.uniform(80, 170), rng.uniform(0, 60), rng.uniform(190, 255)
    turn = rng.normal(0, 5)
    cv2.ellipse(picture, middle, radii, turn, 0, 360, soft * 0.75, -1, cv2.LINE_AA)
    cv2.ellipse(picture, middle, (int(radii[0] * 0.88), int(radii[1] * 0.85)), turn, 0, 360, soft, -1, cv2.LINE_AA)
    chest = rng.random() < 0.5
    for side in (-1, 1):
        place = (middle[0] + int(side * radii[0] * 0.42), middle[1] - int(radii[1] * 0.05))
        axes = (int(radii[0] * rng.uniform(0.2, 0.36)), int(radii[1] * rng.uniform(0.3, 0.65)))
        cv2.ellipse(
            picture, place, axes, side * 10, 0, 360, lung if chest else soft * rng.uniform(0.8, 1.3), -1, cv2.LINE_AA
        )
    for _ in range(int(rng.integers(2, 14))):
        place = (middle[0] + int(rng.normal(0, radii[0] * 0.4)), middle[1] + int(rng.normal(0, radii[1] * 0.35)))
        axes = (int(rng.uniform(3, 18)), int(rng.uniform(3, 14)))
        cv2.ellipse(picture, place, axes, rng.uniform(0, 180), 0, 360, soft * rng.uniform(0.4, 1.5), -1, cv2.LINE_AA)
    spine = (middle[0] + int(rng.normal(0, 3)), middle[1] + int(radii[1] * 0.6))
    cv2.ellipse(picture, spine, (int(rng.uniform(7, 14)), int(rng.uniform(6, 11))), 0, 0, 360, bone, -1, cv2.LINE_AA)
    cv2.line(picture, spine, (spine[0], spine[1] + int(radii[1] * 0.25)), bone, 4, cv2.LINE_AA)
    for angle in np.linspace(0.3, 5.9, int(rng.integers(4, 14))):
        place = (int(middle[0] + radii[0] * 0.84 * np.cos(angle)), int(middle[1] + radii[1] * 0.82 * np.sin(angle)))
        cv2.ellipse(picture, place, (6, 3), np.degrees(angle) + 90, 0, 360, bone, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        cv2.ellipse(picture, (SIDE // 2, middle[1] - 24), (76, radii[1] + 40), 0, 50, 130, soft * 0.8, 2, cv2.LINE_AA)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    return picture + rng.normal(0, rng.uniform(0, 14), picture.shape).astype(np.float32)


_KINDS: dict[str, Callable[[np.random.Generator], NDArray[np.float32]]] = {
    "blank": _blank,
    "noise": _noise,
    "texture": _texture,
    "room": _room,
    "scene": _scene,
    "document": _document,
    "screen": _screen,
    "icon": _icon,
    "slice": _slice,
}
