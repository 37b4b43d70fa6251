"""A CT of a simplified trunk whose parts are known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imeasure_server.imaging.volume import Geometry, Volume

Mask = npt.NDArray[np.bool_]

SPACING = (2.4, 2.4, 3.5)
SHAPE = (144, 112, 48)


@dataclass(frozen=True, eq=False)
class Trunk:
    """A volume in LPS order and masks of its shape."""

    volume: Volume
    body: Mask
    lungs: Mask
    bones: Mask
    airways: Mask
    fat: Mask
    muscle: Mask
    organs: Mask
    table: Mask


@cache
def trunk(noise: float = 15.0, contrast: bool = False) -> Trunk:
    """Chest above, abdomen below: lungs with vessels, a trachea that divides, ribs, a spine, a liver, arms, a table."""
    rng = np.random.default_rng(7)
    x, y, z = np.meshgrid(*((np.arange(n) - n / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij")

    def ellipse(a: float, b: float, cx: float = 0.0, cy: float = 0.0) -> Mask:
        return np.asarray(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1)

    def ball(a: float, b: float, c: float, cx: float, cy: float, cz: float) -> Mask:
        return np.asarray(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 + ((z - cz) / c) ** 2 < 1)

    trunk_, wall, cavity = ellipse(128, 92), ellipse(112, 77), ellipse(98, 64)
    arms = ellipse(20, 20, -149) | ellipse(20, 20, 149)
    spine, core = ellipse(17, 15, 0, 42), ellipse(13, 11, 0, 42)
    canal = ellipse(7, 7, 0, 64)
    arch = ellipse(13, 12, 0, 62) & ~canal
    behind = wall & (y > 46) & (np.abs(x) < 52) & ~spine & ~ellipse(13, 12, 0, 62)
    # A rib runs obliquely: each slice has short pieces of several.
    ribs = (ellipse(108, 74) & ~ellipse(99, 65)) & (((z + 0.5 * y) / 24.0) % 1 < 0.4) & (y < 50) & (y > -60)
    arm_bones = ellipse(8, 8, -149) | ellipse(8, 8, 149)
    lungs = (ball(38, 50, 70, -52, -2, 60) | ball(38, 50, 70, 52, -2, 60)) & cavity
    vessels = ball(25, 3, 3, -45, 5, 30) | ball(25, 3, 3, 45, 5, 40)
    trachea = ellipse(8, 8, 0, 10) & (z > 20)
    bronchi = ball(34, 5, 5, 0, 10, 18)
    liver = ball(60, 50, 55, -35, -8, -70) & cavity & ~lungs
    gas = ball(14, 12, 14, 45, -30, -60)
    hu = np.full(SHAPE, -1000.0)
    hu[trunk_] = -100.0
    hu[wall] = 55.0
    hu[cavity] = -95.0
    muscle = ((wall & ~cavity) | behind) & ~ribs
    hu[behind] = 55.0
    hu[ball(40, 35, 40, 20, -10, 0) & cavity] = 45.0
    hu[liver] = 140.0 if contrast else 60.0
    hu[lungs] = -850.0
    hu[lungs & vessels] = 40.0
    grain = ndimage.gaussian_filter(rng.normal(size=SHAPE), 0.8)
    grain *= 130.0 / grain.std()
    hu[ribs] = 500.0 + grain[ribs]
    hu[spine | arch] = 430.0 + grain[spine | arch]
    hu[core] = 190.0 + 0.45 * grain[core]
    hu[canal] = 30.0
    hu[ellipse(11, 11, 0, 10) & (z > 20)] = 40.0
    hu[trachea | bronchi] = -1000.0
    hu[gas] = -1000.0
    hu[arms] = 55.0
    hu[arm_bones] = 900.0
    table = (y > 96) & (y < 100) & (np.abs(x) < 150)
    hu[table] = -100.0
    hu = ndimage.gaussian_filter(hu, (0.5, 0.5, 0.4)) + rng.normal(0, noise, SHAPE)
    airways = trachea | (bronchi & (np.abs(x) < 30))
    bones = spine | arch | (ribs & wall) | arm_bones
    body = trunk_ | arms
    fat = trunk_ & ~wall
    array = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    volume = Volume(array, Geometry.from_axes((-170, -130, 400), SPACING, np.eye(3), SHAPE))
    muscle = (muscle | (arms & ~arm_bones)) & ~bones
    return Trunk(volume, body, lungs & ~bronchi, bones, airways, fat, muscle, liver | gas, table)
