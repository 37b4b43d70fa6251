"""Attenuation maps rendered ahead, so that training need not wait for anatomy; exposure is drawn anew at each use.

A set is a folder with ``maps.u16`` (count, HEIGHT, WIDTH) and ``truth.f64`` (count, 25): landmarks, vertebrae, unit.
Map ``i`` comes from seed ``first_seed + i``, whatever was rendered before it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vhs.anatomy import Thorax, sample_thorax

HEIGHT, WIDTH = 512, 640
SCALE = 8192.0
"""Stored values are attenuation times this."""


class RenderedSet:
    """Maps on disk; may still be growing while it is read."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count
        folder.mkdir(parents=True, exist_ok=True)
        mode = "r+" if (folder / "maps.u16").is_file() else "w+"
        self._maps = np.memmap(folder / "maps.u16", np.uint16, mode, shape=(count, HEIGHT, WIDTH))
        self._truth = np.memmap(folder / "truth.f64", np.float64, mode, shape=(count, 25))

    @property
    def rendered(self) -> int:
        """How many are there from the start without a gap."""
        missing = np.flatnonzero(self._truth[:, 24] == 0)
        return int(missing[0]) if len(missing) else self.count

    def __getitem__(self, index: int) -> Thorax:
        truth = np.array(self._truth[index])
        attenuation = self._maps[index].astype(np.float32) / SCALE
        return Thorax(attenuation, truth[:14].reshape(7, 2), truth[14:24].reshape(5, 2), float(truth[24]))

    def __setitem__(self, index: int, thorax: Thorax) -> None:
        coded: NDArray[np.uint16] = np.clip(np.round(thorax.attenuation * SCALE), 0, 65535).astype(np.uint16)
        self._maps[index] = coded
        self._truth[index] = np.concatenate([thorax.landmarks.ravel(), thorax.vertebrae.ravel(), [thorax.unit]])


def main() -> None:
    parser = argparse.ArgumentParser(description="Render attenuation maps; goes on where it was stopped.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rendered = RenderedSet(options.folder, options.count)
    for index in range(rendered.rendered, options.count):
        rendered[index] = sample_thorax(np.random.default_rng(options.first_seed + index), HEIGHT, WIDTH)


if __name__ == "__main__":
    main()
