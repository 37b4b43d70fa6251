"""The outline of a heart from its scores: landmarks exact by construction.

Frame of the heart: t along the long axis from its base (0) to the apex (1); w across it, caudal positive, in units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from vhs.attenuation import FloatArray


@dataclass(frozen=True)
class Heart:
    """Shape and place of a heart; lengths in units.

    Attributes:
        base: (x, y) of the dorsal end of the long axis, ventral to the carina.
        tilt: of the long axis from straight down towards caudal, in radians.
        long_axis, short_axis: their sum is the VHS.
        cranial_share: of the short axis that lies cranial of the long one.
        level: where the short axis crosses, as a share of the long axis.
        vlas: from `base` to where the left atrium meets the dorsal border of the caudal vena cava.
        vlas_angle: of that line from the perpendicular of the long axis towards the apex, in radians.
        base_width: half width at the base as shares of the largest, cranial and caudal.
        apex_power: bluntness of the apex; 0.5 is an ellipse.
    """

    base: tuple[float, float]
    tilt: float
    long_axis: float
    short_axis: float
    cranial_share: float
    level: float
    vlas: float
    vlas_angle: float
    base_width: tuple[float, float]
    apex_power: float

    @property
    def is_possible(self) -> bool:
        """Whether the atrium's point leaves a heart-like outline."""
        t, w = self._atrium
        caudal = self.short_axis * (1 - self.cranial_share)
        return 0.06 < t < self.level - 0.08 and 0.55 * caudal < w < 1.12 * caudal

    @property
    def _atrium(self) -> tuple[float, float]:
        return self.vlas * math.sin(self.vlas_angle) / self.long_axis, self.vlas * math.cos(self.vlas_angle)

    def place(self, t: FloatArray, w: FloatArray) -> FloatArray:
        """Points (n, 2) in body coordinates."""
        along = np.array([math.sin(self.tilt), math.cos(self.tilt)])
        across = np.array([math.cos(self.tilt), -math.sin(self.tilt)])
        t, w = np.atleast_1d(t), np.atleast_1d(w)
        return np.array(self.base) + self.long_axis * t[:, None] * along + w[:, None] * across

    def depth_share(self, points: FloatArray) -> FloatArray:
        """Depth of the heart at points (..., 2) as a share: less at the base, which is atria and great vessels."""
        along = np.array([math.sin(self.tilt), math.cos(self.tilt)])
        t = (points - np.array(self.base)) @ along / self.long_axis
        rise: FloatArray = np.clip((t + 0.12) / 0.5, 0, 1)
        return rise * rise * (3 - 2 * rise)

    def landmarks(self) -> FloatArray:
        """(5, 2): top, bottom, right (cranial), left (caudal), VLAS."""
        cranial = self.short_axis * self.cranial_share
        t, w = self._atrium
        return self.place(
            np.array([0.0, 1.0, self.level, self.level, t]),
            np.array([0.0, 0.0, -cranial, self.short_axis - cranial, w]),
        )

    def border(self, side: str, count: int = 40) -> FloatArray:
        """(count, 2) from base to apex along the ``cranial`` or ``caudal`` border."""
        cranial = self.short_axis * self.cranial_share
        widest = cranial if side == "cranial" else self.short_axis - cranial
        start = widest * self.base_width[0 if side == "cranial" else 1]
        t_known, w_known = [0.0, self.level], [start, widest]
        if side == "caudal":
            t, w = self._atrium
            t_known, w_known = [0.0, t, self.level], [min(start, w), w, widest]
        rounded = np.sin(np.linspace(0, math.pi / 2, count // 2))  # denser at the apex
        upper = np.linspace(0, self.level, count - len(rounded), endpoint=False)
        curve = PchipInterpolator(t_known, w_known)
        flat = widest - (widest - curve(upper)) if side == "caudal" else _rising(upper, self.level, start, widest)
        lower = self.level + (1 - self.level) * rounded
        share = np.clip(1 - ((lower - self.level) / (1 - self.level)) ** 2, 0, 1) ** self.apex_power
        sign = -1 if side == "cranial" else 1
        return self.place(np.concatenate([upper, lower]), sign * np.concatenate([flat, widest * share]))

    def outline(self) -> FloatArray:
        """(n, 2) closed silhouette, base included."""
        cranial, caudal = self.border("cranial"), self.border("caudal")
        dome = self.place(np.array([-0.04, -0.05, -0.03]), np.array([-0.3, 0.0, 0.3]) * self.short_axis * 0.5)
        return np.concatenate([dome, caudal, cranial[::-1]])


def _rising(t: FloatArray, level: float, start: float, widest: float) -> FloatArray:
    return widest - (widest - start) * ((level - t) / level) ** 1.8


def sample_heart(rng: np.random.Generator, base: tuple[float, float]) -> Heart:
    """A heart with VHS 7.5 to 14 and VLAS 1.2 to 4, normal ones as frequent as all the others together."""
    while True:
        vhs = float(np.clip(rng.normal(9.8, 0.8), 7.5, 14)) if rng.random() < 0.5 else rng.uniform(7.5, 14)
        long_axis = vhs * float(np.clip(rng.normal(0.555, 0.022), 0.49, 0.61))
        enlarged = max(0.0, vhs - 9.7)
        usual = 2.0 + 0.22 * enlarged
        vlas = rng.normal(usual, 0.35) if rng.random() < 0.7 else rng.uniform(1.2, 4.0)
        tilt = float(np.clip(rng.normal(38, 12), 6, 64))
        heart = Heart(
            base=base,
            tilt=math.radians(tilt),
            long_axis=long_axis,
            short_axis=vhs - long_axis,
            cranial_share=rng.uniform(0.45, 0.7),
            level=rng.uniform(0.40, 0.6),
            vlas=float(np.clip(vlas, 1.2, 4.0)),
            vlas_angle=math.radians(float(np.clip(tilt + rng.uniform(-15, 40), 15, 75))),  # caudal or caudoventral
            base_width=(rng.uniform(0.45, 0.75), rng.uniform(0.35, 0.7)),
            apex_power=rng.uniform(0.42, 0.62),
        )
        if heart.is_possible:
            return heart
