"""A whole dog on a table: attenuation and exact landmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vhs.attenuation import AttenuationMap, FloatArray, Picture, View
from vhs.heart import Heart, sample_heart
from vhs.organs import (
    diaphragm_line,
    draw_abdomen,
    draw_airways_and_vessels,
    draw_lungs,
    draw_skin,
    soften_bone,
    thorax_outline,
)
from vhs.rib_cage import Sternum, draw_forelimbs, draw_ribs, draw_sternum
from vhs.spine import T4, T9, Spine, draw_spine, sample_spine


@dataclass(frozen=True, eq=False)
class Thorax:
    """A left- or right-lateral exposure before the detector; the head is on the left, the spine on top.

    Attributes:
        attenuation: (height, width) line integrals, 0 in air.
        landmarks: (7, 2) in continuous pixel coordinates, order of `imeasure_server.vhs.landmarks`.
        vertebrae: (5, 2) the same for the middles of the cranial end plates of T5 to T9.
        unit: pixels per vertebra.
    """

    attenuation: Picture
    landmarks: FloatArray
    vertebrae: FloatArray
    unit: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Where everything lies in a dog, and how it is seen; nothing of what it is made of."""

    spine: Spine
    heart: Heart
    sternum: Sternum
    diaphragm: FloatArray
    view: View

    def landmarks(self) -> FloatArray:
        """See `Thorax`."""
        points = [self.heart.landmarks(), self.spine.cranial[T4 : T4 + 1], self.spine.caudal[T9 : T9 + 1]]
        return self.view.project(np.vstack(points))

    def vertebrae(self) -> FloatArray:
        """See `Thorax`."""
        return self.view.project(self.spine.cranial[T4 + 1 : T9 + 1])


def sample_anatomy(rng: np.random.Generator, height: int = 512, width: int = 640) -> Anatomy:
    """The first that is drawn at random of a dog."""
    spine = sample_spine(rng)
    heart = sample_heart(rng, _base(spine, rng))
    sternum = _sternum(spine, heart, rng)
    diaphragm = diaphragm_line(spine, heart, sternum, rng)
    return Anatomy(spine, heart, sternum, diaphragm, _view(spine, sternum, heart, rng, height, width))


def sample_thorax(rng: np.random.Generator, height: int = 512, width: int = 640) -> Thorax:
    """A dog drawn at random: breed, size, obesity, breathing, heart, and how it lies."""
    anatomy = sample_anatomy(rng, height, width)
    spine, heart, sternum = anatomy.spine, anatomy.heart, anatomy.sternum
    diaphragm, view = anatomy.diaphragm, anatomy.view
    image = AttenuationMap((height, width), view)
    thickness = rng.uniform(4.5, 8.0)
    fat, aeration = float(rng.exponential(0.3)), rng.uniform(0.35, 0.95)
    draw_skin(image, spine, sternum, rng, thickness, min(fat, 1.4))
    draw_abdomen(image, spine, diaphragm, rng, thickness)
    draw_lungs(
        image, thorax_outline(spine, sternum, diaphragm), heart, rng, thickness * rng.uniform(0.35, 0.7), aeration
    )
    draw_airways_and_vessels(image, spine, heart, diaphragm, rng, aeration)
    image.values = soften_bone(image.values, rng, view.scale)
    density = rng.uniform(0.3, 1.0)
    draw_sternum(image, sternum, rng, density * 0.8)
    draw_ribs(image, spine, sternum, rng, density * rng.uniform(0.55, 0.95), thickness * rng.uniform(0.26, 0.36))
    draw_spine(image, spine, rng, density)
    draw_forelimbs(image, spine, sternum, rng, density)
    return Thorax(np.maximum(image.values, 0), anatomy.landmarks(), anatomy.vertebrae(), view.scale)


def _base(spine: Spine, rng: np.random.Generator) -> tuple[float, float]:
    """Below the carina, which lies under T5 to T6."""
    index = T4 + 1
    along, dorsal = spine.axes(index)
    place = spine.middle(index) + along * rng.uniform(-0.4, 1.1) - dorsal * rng.uniform(1.5, 2.9)
    return float(place[0]), float(place[1])


def _sternum(spine: Spine, heart: Heart, rng: np.random.Generator) -> Sternum:
    """A line under the heart, from below the first ribs to behind the apex."""
    border = np.vstack([heart.border("cranial"), heart.border("caudal")])
    apex = heart.landmarks()[1]
    first = spine.middle(T4 - 3)
    manubrium = first + np.array([rng.uniform(-0.9, 0.6), rng.uniform(3.0, 4.6)])
    xiphoid = apex + np.array([rng.uniform(0.8, 2.4), rng.uniform(0.1, 0.9)])
    sternum = Sternum(manubrium, xiphoid, rng.uniform(-0.1, 0.5))
    room = min(sternum.height_at(float(x)) - float(y) for x, y in border)
    wanted = rng.uniform(-0.35, 0.45)
    if room < wanted:
        fall = np.array([0.0, wanted - room])
        sternum = Sternum(manubrium + fall, xiphoid + fall, sternum.sag)
    return sternum


def _view(spine: Spine, sternum: Sternum, heart: Heart, rng: np.random.Generator, height: int, width: int) -> View:
    """A frame that shows the thorax, often more, with the anatomy near its middle."""
    top = min(spine.cranial[T4 - 3 :, 1].min(), spine.cranial[T4][1]) - rng.uniform(0.8, 3.5)
    bottom = max(sternum.cranial[1], sternum.caudal[1], heart.landmarks()[1][1]) + rng.uniform(0.3, 2.2)
    left = spine.cranial[T4 - 3][0] - rng.uniform(-0.2, 5.0)
    right = spine.caudal[T9 + 4][0] + rng.uniform(-1.5, 4.5)
    scale = min(width / (right - left), height / (bottom - top))
    spare = np.array([width - (right - left) * scale, height - (bottom - top) * scale])
    offset = spare * rng.uniform(0.2, 0.8, 2) - np.array([left, top]) * scale
    return View(
        scale=scale,
        offset=(float(offset[0]), float(offset[1])),
        yaw=math.radians(rng.normal(0, 4.5)),
        roll=math.radians(rng.normal(0, 5.5)),
        divergence=rng.uniform(0.0, 0.02),
    )
