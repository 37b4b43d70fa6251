"""Pictures drawn ahead, so that training need not wait for them; each is shown several times, changed at random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from vhs.anatomy import Thorax

from vhs_classifier.body_parts import body_parts, draw_named
from vhs_classifier.lateral_thorax import draw_thorax, draw_without_heart
from vhs_classifier.other_pictures import draw_kind, kinds

Picture = NDArray[np.uint8]

POSITIVE = "lateral thorax"
SHARES = {POSITIVE: 0.4, "without heart": 0.1, "body part": 0.3, "other": 0.2}


def draw_pool(
    dogs: Callable[[int], Thorax], available: int, count: int, seed: int, cache: Path | None = None
) -> dict[str, list[Picture]]:
    """Pictures by what they show.

    Args:
        dogs: gives a rendered dog by its number.
        available: how many there are.
        count: of all pictures together.
        seed: of everything random.
        cache: an .npz file to read them from, or to write them to.
    """
    if cache is not None and cache.is_file():
        with np.load(cache) as stored:
            return {
                name: _unpacked(stored[name], stored[f"{name} sizes"]) for name in stored.files if "sizes" not in name
            }
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    pool: dict[str, list[Picture]] = {}
    for name, draw in ((POSITIVE, draw_thorax), ("without heart", draw_without_heart)):
        pool[name] = [draw(dogs(int(rng.integers(available))), rng) for _ in range(max(1, round(count * SHARES[name])))]
    names = body_parts()
    for name in names:
        weight = 3 if name == "frontal chest" else 1
        share = SHARES["body part"] * weight / (len(names) + 2)
        pool[name] = [draw_named(name, rng) for _ in range(max(1, round(count * share)))]
    for name in kinds():
        pool[name] = [draw_kind(name, rng) for _ in range(max(1, round(count * SHARES["other"] / len(kinds()))))]
    if cache is not None:
        _write(cache, pool)
    return pool


def _write(cache: Path, pool: dict[str, list[Picture]]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, pictures in pool.items():
        arrays[name] = np.concatenate([picture.reshape(-1) for picture in pictures])
        arrays[f"{name} sizes"] = np.array([picture.shape for picture in pictures])
    np.savez(cache, **arrays)


def _unpacked(flat: NDArray[np.uint8], sizes: NDArray[np.int64]) -> list[Picture]:
    parts = np.split(flat, np.cumsum(sizes.prod(axis=1))[:-1])
    return [part.reshape(size) for part, size in zip(parts, sizes.tolist(), strict=True)]
