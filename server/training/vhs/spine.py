"""The vertebral column: where each vertebra lies and how it is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vhs.attenuation import AttenuationMap, FloatArray

CERVICAL, THORACIC, LUMBAR = 5, 13, 5
T1, T4, T9 = CERVICAL, CERVICAL + 3, CERVICAL + 8


@dataclass(frozen=True)
class Spine:
    """Vertebrae from C3 to L5.

    Attributes:
        cranial, caudal: (n, 2) middles of each body's end plates, in body coordinates.
        heights: (n,) of the bodies, in units.
    """

    cranial: FloatArray
    caudal: FloatArray
    heights: FloatArray

    def axes(self, index: int) -> tuple[FloatArray, FloatArray]:
        """Unit vectors towards caudal and towards dorsal of a vertebra."""
        along = self.caudal[index] - self.cranial[index]
        along = along / math.hypot(*along)
        return along, np.array([along[1], -along[0]])

    def middle(self, index: int) -> FloatArray:
        middle: FloatArray = (self.cranial[index] + self.caudal[index]) / 2
        return middle

    def ventral_line(self) -> FloatArray:
        """(n, 2) along the ventral border of the bodies from T1 to T13."""
        points = []
        for index in range(T1, T1 + THORACIC):
            _, dorsal = self.axes(index)
            points += [end - dorsal * self.heights[index] / 2 for end in (self.cranial[index], self.caudal[index])]
        return np.array(points)


def sample_spine(rng: np.random.Generator) -> Spine:
    """A column with the origin at the middle of T5's cranial end plate; T4 to T9 with discs are six units long."""
    lengths = np.concatenate(
        [
            np.full(CERVICAL, rng.uniform(1.15, 1.6)),
            np.linspace(rng.uniform(0.85, 1.0), 1.0, 3),
            rng.normal(1.0, 0.02, 6),
            np.linspace(1.03, rng.uniform(1.1, 1.3), 4),
            np.linspace(1.25, rng.uniform(1.3, 1.6), LUMBAR),
        ]
    )
    gap = rng.uniform(0.06, 0.17)
    slope_cranial, slope_caudal = math.radians(rng.uniform(-38, 2)), math.radians(rng.uniform(-12, 8))
    if rng.random() < 0.2:
        slope_cranial = slope_caudal + math.radians(rng.uniform(-8, 8))
    neck = math.radians(rng.uniform(5, 65))
    angles = np.empty(len(lengths))
    for index in range(len(lengths)):
        along = (index - T1) / (THORACIC - 1)
        if index < T1:
            angles[index] = slope_cranial + (neck - slope_cranial) * min(1.0, (T1 - index) / 3) ** 0.8
        else:
            bend = min(1.0, along) ** rng.uniform(0.9, 1.1)
            angles[index] = slope_cranial + (slope_caudal - slope_cranial) * bend
            if index >= T1 + THORACIC:
                angles[index] = slope_caudal + math.radians(2.0 * (index - T1 - THORACIC + 1)) * rng.uniform(0, 1.5)
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    directions[:T1] = np.column_stack([np.cos(angles[:T1]), np.sin(angles[:T1])])
    starts = np.vstack([[0.0, 0.0], np.cumsum(directions * lengths[:, None], axis=0)])
    cranial = starts[:-1] + directions * gap * 0.5
    caudal = starts[1:] - directions * gap * 0.5
    spanned = math.dist(cranial[T4], caudal[T9])
    origin, factor = cranial[T4 + 1], 6.0 / spanned
    heights = rng.uniform(0.5, 0.68) * np.concatenate(
        [np.full(CERVICAL, 1.05), np.linspace(0.95, 1.15, THORACIC + LUMBAR)]
    )
    return Spine((cranial - origin) * factor, (caudal - origin) * factor, heights)


def draw_spine(image: AttenuationMap, spine: Spine, rng: np.random.Generator, density: float) -> None:
    """Bodies with end plates, arch, transverse, articular and spinous processes."""
    lean, process_length = rng.uniform(-0.1, 0.5), rng.uniform(1.6, 3.0)
    width, cortex = rng.uniform(0.5, 0.75), rng.uniform(0.5, 1.4)
    filling, brow = rng.uniform(0.06, 0.5), rng.uniform(0.3, 2.4)
    for index in range(len(spine.heights)):
        own = density * rng.uniform(0.75, 1.25)
        _draw_body(image, spine, index, own, width, cortex, filling, rng)
        _draw_arch(image, spine, index, own, rng)
        _draw_brow(image, spine, index, own * brow, rng)
        _draw_spinous(image, spine, index, density, lean, process_length, rng)


def _draw_body(
    image: AttenuationMap,
    spine: Spine,
    index: int,
    density: float,
    width: float,
    cortex: float,
    filling: float,
    rng: np.random.Generator,
) -> None:
    along, dorsal = spine.axes(index)
    a, b, half = spine.cranial[index], spine.caudal[index], spine.heights[index] / 2
    waist = rng.uniform(0.78, 0.92)
    middle = (a + b) / 2
    dorsal_edge = [a + dorsal * half, middle + dorsal * half * 0.95, b + dorsal * half]
    ventral_edge = [b - dorsal * half, middle - dorsal * half * waist, a - dorsal * half]
    outline = np.array(dorsal_edge + ventral_edge)
    image.add_solid(outline, width, density * filling, roundness=0.6, edge=half * 0.8)
    plate = 0.038
    for end, sign in ((a, 1.0), (b, -1.0)):
        for z in (-0.3, 0.3):  # the rims of both sides part when the dog lies askew
            rim = [[*(end + dorsal * half * s + along * plate * sign), z] for s in (0.98, -0.98)]
            image.add_tube(np.array(rim), plate, density * cortex * 1.1)
    image.add_tube(np.array(ventral_edge), 0.035, density * cortex * 1.3)
    image.add_tube(np.array(dorsal_edge), 0.028, density * cortex * 0.7)


def _draw_arch(image: AttenuationMap, spine: Spine, index: int, density: float, rng: np.random.Generator) -> None:
    along, dorsal = spine.axes(index)
    a, b, half = spine.cranial[index], spine.caudal[index], spine.heights[index] / 2
    canal = rng.uniform(0.36, 0.5)
    length = math.dist(a, b)
    roof = [a + dorsal * (half + canal) + along * 0.05 * length, (a + b) / 2 + dorsal * (half + canal * 1.1)]
    roof.append(b + dorsal * (half + canal * 0.8) + along * 0.12)
    image.add_tube(np.array(roof), np.array([0.06, 0.1, 0.05]), density * 1.5)
    for z in (-0.35, 0.35):
        pedicle = np.array(
            [
                [*(a + dorsal * half * 0.6 + along * 0.2 * length), z],
                [*(a + dorsal * (half + canal * 0.9) + along * 0.3 * length), z],
            ]
        )
        image.add_tube(pedicle, np.array([0.13, 0.1]) * length, density * 0.5)
        facet = b + dorsal * (half + canal * 0.7) + along * rng.uniform(0.0, 0.15)
        image.add_tube(
            np.array([[*facet, z], [*(facet + along * 0.18 - dorsal * 0.05), z]]),
            rng.uniform(0.09, 0.14),
            density * 0.7,
        )
        if T1 <= index < T1 + THORACIC:
            root = a + dorsal * (half + 0.15) + along * 0.35 * length
            tip = root + dorsal * rng.uniform(0.05, 0.3) + along * rng.uniform(-0.05, 0.2)
            image.add_tube(np.array([[*root, z], [*tip, 1.6 * z]]), np.array([0.12, 0.16]), density * 0.55)
        if index >= T1 + THORACIC or index < T1:
            sign = -1.0 if index >= T1 + THORACIC else 1.0
            root = spine.middle(index)
            tip = root - dorsal * 0.3 - along * 0.6 * sign
            image.add_tube(np.array([[*root, z], [*tip, 3.5 * z]]), np.array([0.16, 0.05]), density * 0.4)


def _draw_brow(image: AttenuationMap, spine: Spine, index: int, density: float, rng: np.random.Generator) -> None:
    """Lamina, pedicles and transverse processes in one bright arc over the canal, as caudal thoracic vertebrae show."""
    along, dorsal = spine.axes(index)
    half, length = spine.heights[index] / 2, math.dist(spine.cranial[index], spine.caudal[index])
    share = float(np.clip((index - T1 - 2) / 6, 0.15, 1)) * rng.uniform(0.5, 1.0)
    height, reach = rng.uniform(0.3, 0.6), length * rng.uniform(0.38, 0.52)
    angles = np.linspace(0.05, math.pi - 0.05, 10)
    foot = spine.middle(index) + dorsal * half * rng.uniform(0.4, 0.9) + along * rng.uniform(-0.1, 0.15)
    for z in (-0.4, 0.4):
        arc = foot - along * np.cos(angles)[:, None] * reach + dorsal * np.sin(angles)[:, None] * height
        path = np.column_stack([arc, np.full(len(arc), z)])
        image.add_tube(path, rng.uniform(0.04, 0.09), density * 0.6 * share)


def _draw_spinous(
    image: AttenuationMap,
    spine: Spine,
    index: int,
    density: float,
    lean: float,
    longest: float,
    rng: np.random.Generator,
) -> None:
    along, dorsal = spine.axes(index)
    thoracic = index - T1
    if thoracic < 0:
        length, angle = 0.5 + 0.25 * (thoracic == -1), 0.1
    elif thoracic < THORACIC:
        fall = max(0.0, thoracic - 3) / 7
        length = longest * float(np.clip(1 - 0.75 * fall, 0.3, 1)) * rng.uniform(0.93, 1.07)
        angle = lean + (0.5 if 6 <= thoracic <= 9 else 0.0) - (0.5 if thoracic > 9 else 0.0)
    else:
        length, angle = 0.9, -0.25
    root = spine.middle(index) + dorsal * (spine.heights[index] / 2 + 0.42)
    direction = dorsal * math.cos(angle) + along * math.sin(angle)
    bow = along * rng.uniform(-0.12, 0.05) * length
    points = np.array([root, root + direction * length * 0.5 + bow, root + direction * length])
    image.add_tube(points, np.array([0.3, 0.17, 0.19]) * rng.uniform(0.85, 1.15), density * 0.62, wall=0.16, core=0.5)
