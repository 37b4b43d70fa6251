"""From attenuation to a picture as a detector and its software make it, and what people burn into it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vhs.attenuation import Picture
from vhs.textures import cloud


def expose(attenuation: Picture, rng: np.random.Generator, pixels: float) -> NDArray[np.uint8]:
    """A finished picture.

    Args:
        attenuation: (height, width) line integrals, 0 in air.
        pixels: per vertebra; structures are enhanced relative to it.

    Returns:
        (height, width) uint8, bone bright.
    """
    signal = _detect(attenuation, rng, pixels)
    picture = _process(signal, rng, pixels)
    picture = _collimate(picture, rng)
    grey = np.clip(picture * 255, 0, 255).astype(np.uint8)
    _burn_in(grey, rng)
    return grey


def _detect(attenuation: Picture, rng: np.random.Generator, pixels: float) -> Picture:
    """Beer–Lambert with scatter, blur, quantum noise and grid lines; back to the logarithm."""
    primary = np.exp(-attenuation)
    scatter = cv2.GaussianBlur(primary, (0, 0), pixels * rng.uniform(1.5, 4), borderType=cv2.BORDER_REPLICATE)
    intensity = primary + np.float32(rng.uniform(0.0, 0.2)) * scatter
    sharpness = rng.uniform(0.0, 0.9)
    if sharpness > 0.25:
        intensity = cv2.GaussianBlur(intensity, (0, 0), sharpness)
    photons = 10 ** rng.uniform(3.6, 5.5)
    noise = rng.standard_normal(intensity.shape, dtype=np.float32)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.4, 1.0)) * 1.7
    intensity = intensity + noise * np.sqrt(np.maximum(intensity, 1e-4) / photons, dtype=np.float32)
    if rng.random() < 0.12:
        rows = np.arange(intensity.shape[0], dtype=np.float32)[:, None]
        intensity = intensity * (1 + np.float32(rng.uniform(0.002, 0.02)) * np.sin(rows * rng.uniform(0.8, 3.0)))
    return -np.log(np.maximum(intensity, 1e-4))


def _process(signal: Picture, rng: np.random.Generator, pixels: float) -> Picture:
    """Dynamic range compression, edge enhancement, tone curve."""
    signal = np.maximum(signal, 0)
    body = signal > 0.15
    if not body.any():
        body = np.ones_like(body)
    broad = cv2.GaussianBlur(signal, (0, 0), pixels * rng.uniform(1.0, 2.5), borderType=cv2.BORDER_REPLICATE)
    flattened = signal - np.float32(rng.uniform(0.0, 0.7)) * broad
    fine = cv2.GaussianBlur(signal, (0, 0), pixels * rng.uniform(0.08, 0.3))
    enhanced = flattened + np.float32(rng.choice([0.0, rng.uniform(0.2, 2.5)])) * (signal - fine)
    low, high = np.percentile(enhanced[body], [rng.uniform(0.2, 6), rng.uniform(98.5, 99.97)])
    picture = np.clip((enhanced - low) / max(high - low, 1e-3), 0, 1.0)
    air = np.float32(rng.uniform(0.0, 0.25)) if rng.random() < 0.3 else np.float32(0.02)
    edge = np.clip(signal / np.float32(rng.uniform(0.08, 0.4)), 0, 1)
    picture = picture * (rng.uniform(0.75, 1.0) - air) + air
    picture = picture * edge + air * 0.4 * (1 - edge)
    picture = picture ** np.float32(rng.uniform(0.6, 1.5))
    if rng.random() < 0.45:
        limit = float(rng.uniform(1.0, 4.0))
        tiles = int(rng.integers(4, 10))
        equaliser = cv2.createCLAHE(clipLimit=limit, tileGridSize=(tiles, tiles))
        picture = equaliser.apply((picture * 255).astype(np.uint8)).astype(np.float32) / 255
        picture = picture * np.maximum(edge, 0.3)
    if rng.random() < 0.3:
        shading = cloud(rng, picture.shape, picture.shape[0] * 0.3, picture.shape[0], 0.5)
        picture = picture * (1 + np.float32(rng.uniform(0, 0.12)) * shading)
    return np.clip(picture, 0, 1)


def _collimate(picture: Picture, rng: np.random.Generator) -> Picture:
    """Black or grey borders outside the collimated field, a little unsharp."""
    if rng.random() > 0.3:
        return picture
    height, width = picture.shape
    shade = np.ones_like(picture)
    inset = [int(rng.uniform(0, 0.035) * (height if side < 2 else width)) for side in range(4)]
    level = np.float32(rng.choice([0.0, 0.0, rng.uniform(0, 0.3), 1.0]))
    shade[: inset[0]] = 0
    shade[height - inset[1] :] = 0
    shade[:, : inset[2]] = 0
    shade[:, width - inset[3] :] = 0
    shade = cv2.GaussianBlur(shade, (0, 0), rng.uniform(0.3, 2.0))
    return picture * shade + level * (1 - shade)


def _burn_in(grey: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Side markers, text and small metal."""
    height, width = grey.shape
    if rng.random() < 0.35:
        letter = str(rng.choice(["R", "L", "D", "I", "RL", "LL"]))
        place = (int(rng.uniform(0.02, 0.85) * width), int(rng.choice([0.1, 0.95]) * height))
        size = rng.uniform(0.6, 1.5)
        if rng.random() < 0.5:
            corner = (place[0] - 5, place[1] + 6)
            cv2.rectangle(grey, corner, (place[0] + int(24 * size), place[1] - int(28 * size)), 0, -1)
        cv2.putText(grey, letter, place, cv2.FONT_HERSHEY_SIMPLEX, size, int(rng.integers(200, 256)), 2, cv2.LINE_AA)
    if rng.random() < 0.25:
        for line in range(int(rng.integers(1, 5))):
            word = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUVZ0123456789 :-."), int(rng.integers(4, 16))))
            x = int(rng.choice([5, width * 0.75]))
            y = int(rng.choice([14, height * 0.86])) + 14 * line
            cv2.putText(grey, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, int(rng.integers(150, 256)), 1, cv2.LINE_AA)
    if rng.random() < 0.15:
        a = (int(rng.uniform(0, width)), int(rng.uniform(0, height * 0.3)))
        b = (a[0] + int(rng.uniform(-14, 14)), a[1] + int(rng.uniform(-6, 6)))
        cv2.line(grey, a, b, 255, int(rng.integers(2, 5)), cv2.LINE_AA)
    if rng.random() < 0.1:
        for tick in range(0, height // 2, 12):
            cv2.line(grey, (width - 9, height // 4 + tick), (width - 3, height // 4 + tick), 220, 1)
