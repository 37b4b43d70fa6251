"""Ribs, costal cartilages, sternum and forelimbs."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from vhs.attenuation import AttenuationMap, FloatArray
from vhs.spine import T1, THORACIC, Spine


@dataclass(frozen=True)
class Sternum:
    """The line of the sternebrae's dorsal border: straight ends and a sag between, in body coordinates."""

    cranial: FloatArray
    caudal: FloatArray
    sag: float

    def at(self, share: float | FloatArray) -> FloatArray:
        """(n, 2) points at shares 0 (manubrium) to 1 (xiphoid)."""
        s = np.atleast_1d(np.asarray(share, float))[:, None]
        line = self.cranial * (1 - s) + self.caudal * s
        line[:, 1] += self.sag * 4 * s[:, 0] * (1 - s[:, 0])
        return line

    def height_at(self, x: float) -> float:
        """y of the line at x, held beyond its ends."""
        points = self.at(np.linspace(0, 1, 30))
        return float(np.interp(x, points[:, 0], points[:, 1]))


def draw_sternum(image: AttenuationMap, sternum: Sternum, rng: np.random.Generator, density: float) -> None:
    size = rng.uniform(0.18, 0.34)
    gap = rng.uniform(0.08, 0.16)
    edges = np.linspace(0, 1, 9)
    for index, (first, last) in enumerate(itertools.pairwise(edges)):
        a, b = sternum.at(np.array([first, last]))
        along = (b - a) / max(math.dist(a, b), 1e-6)
        down = np.array([-along[1], along[0]])
        a, b = a + along * gap / 2, b - along * gap / 2
        half = size * (0.75 if index in (0, 7) else 1.0)
        low = [b + down * half * 2, (a + b) / 2 + down * half * 1.7, a + down * half * 2]
        top = [a, (a + b) / 2 + down * half * 0.2, b]
        outline = np.array(top + low)
        image.add_solid(outline, 0.45, density * 0.5, roundness=0.4, edge=half * 0.5)
        image.add_tube(np.vstack([outline, outline[:1]]), 0.035, density * 1.6)


def draw_ribs(
    image: AttenuationMap,
    spine: Spine,
    sternum: Sternum,
    rng: np.random.Generator,
    density: float,
    half_width: float,
) -> None:
    """Thirteen pairs with their cartilages."""
    radius = rng.uniform(0.12, 0.21)
    slim, neck_density = rng.uniform(0.4, 0.8), rng.uniform(0.1, 0.8)
    sweep, mineral = rng.uniform(0.8, 1.2), rng.uniform(0.2, 1.5)
    for pair in range(THORACIC):
        index = T1 + pair
        along, dorsal = spine.axes(index)
        head = spine.cranial[index] + dorsal * spine.heights[index] * 0.3
        for side in (-1.0, 1.0):
            wobble = rng.normal(0, 0.06, 2)
            neck = np.array(
                [[*(head + dorsal * 0.15 - along * 0.1), 0.25 * side], [*(head + along * 0.25), 0.7 * side]]
            )
            image.add_tube(neck, radius * np.array([1.0, 0.9]), density * neck_density, wall=0.3, core=0.3)
            path = _rib_path(head + wobble * 0.3, pair, sternum, half_width * side, sweep, wobble)
            radii = radius * np.interp(np.linspace(0, 1, len(path)), [0, 0.15, 0.6, 1], [1.0, 0.85, 1.0, 1.15])
            image.add_tube(path, radii * (0.85 if pair > 10 else 1.0), density * 0.9, wall=0.2, core=0.22)
            cartilage = _cartilage_path(path, pair, sternum, side, rng)
            image.add_tube(cartilage, radius * slim, density * mineral, wall=0.5, core=0.4)


def _rib_path(
    head: FloatArray, pair: int, sternum: Sternum, width: float, sweep: float, wobble: FloatArray
) -> FloatArray:
    share = pair / (THORACIC - 1)
    depth = max(1.5, sternum.height_at(head[0] + share * 2.5) - head[1])
    angle = math.radians(-4 + 40 * share**0.9 * sweep) + wobble[0] * 0.4
    length = depth * float(np.interp(pair, [0, 2, 5, 8, 10, 12], [0.62, 0.74, 0.84, 0.82, 0.7, 0.42]))
    length /= max(math.cos(angle), 0.6)
    bend = 0.10 * length * (1 - 0.7 * share)
    t = np.linspace(0, 1, 15)
    x = head[0] + math.sin(angle) * length * t + bend * np.sin(math.pi * t) * (0.4 + share)
    y = head[1] - 0.25 * np.sin(np.minimum(t * 8, math.pi)) + math.cos(angle) * length * t
    bulge = np.interp(pair, [0, 3, 8, 12], [0.45, 0.8, 1.0, 0.85])
    z = width * bulge * np.sin(np.minimum(0.12 + t * 0.78, 1) * math.pi * 0.8) ** 0.8
    return np.column_stack([x, y, z])


def _cartilage_path(rib: FloatArray, pair: int, sternum: Sternum, side: float, rng: np.random.Generator) -> FloatArray:
    start = rib[-1]
    direction = rib[-1] - rib[-3]
    if pair < 9:
        goal = sternum.at((pair + 0.02) / 8.0)[0] + np.array([0.0, 0.1])
    else:
        goal = sternum.at(1.0)[0] + np.array([0.5 * (pair - 8), -0.5 * (pair - 8)])
    goal = goal + rng.normal(0, 0.08, 2)
    if pair == 12:
        goal = start[:2] + np.array([0.2, 0.5])
    knee = start[:2] + direction[:2] * 1.1
    t = np.linspace(0, 1, 10)[:, None]
    flat = (1 - t) ** 2 * start[:2] + 2 * t * (1 - t) * (knee * 0.6 + np.array([knee[0], goal[1]]) * 0.4) + t**2 * goal
    depth = start[2] * (1 - t[:, 0]) + side * 0.25 * t[:, 0]
    return np.column_stack([flat, depth])


def draw_forelimbs(
    image: AttenuationMap, spine: Spine, sternum: Sternum, rng: np.random.Generator, density: float
) -> None:
    """Scapula, humerus, radius and ulna of both sides, pulled forward."""
    shoulder = sternum.cranial + np.array([rng.uniform(-2.2, -0.2), rng.uniform(-2.2, -0.6)])
    pulled = math.radians(rng.uniform(-35, 25))
    size = rng.uniform(0.85, 1.2)
    for side in (-1.0, 1.0):
        joint = shoulder + rng.normal(0, 0.25, 2)
        angle = pulled + rng.normal(0, 0.1)
        _draw_scapula(image, spine, joint, side, rng, density, size)
        down = np.array([math.sin(angle), math.cos(angle)])
        elbow = joint + down * 4.6 * size
        z = side * 2.2
        _draw_long_bone(image, joint, elbow, z, 0.38 * size, density)
        fore = angle + math.radians(rng.uniform(-75, 30))
        wrist = elbow + np.array([math.sin(fore), math.cos(fore)]) * 4.5 * size
        _draw_long_bone(image, elbow, wrist, z, 0.26 * size, density)
        ulna = elbow + np.array([0.3, -0.5]), wrist + np.array([0.25, 0.0])
        _draw_long_bone(image, *ulna, z, 0.18 * size, density)
        flesh = np.array([[*(joint + down * 4.6 * size * s), z] for s in np.linspace(-0.15, 1.0, 8)])
        image.add_tube(flesh, np.linspace(1.5, 0.8, 8) * size, rng.uniform(0.02, 0.08))


def _draw_long_bone(
    image: AttenuationMap, a: FloatArray, b: FloatArray, z: float, radius: float, density: float
) -> None:
    s = np.linspace(0, 1, 9)
    flare = np.interp(s, [0, 0.12, 0.3, 0.75, 0.92, 1], [1.5, 1.45, 1.0, 0.95, 1.3, 1.4])
    points = np.column_stack([a + (b - a) * s[:, None], np.full(9, z)])
    image.add_tube(points, radius * flare, density * 0.45, wall=0.22, core=0.2)


def _draw_scapula(
    image: AttenuationMap,
    spine: Spine,
    joint: FloatArray,
    side: float,
    rng: np.random.Generator,
    density: float,
    size: float,
) -> None:
    target = spine.middle(T1 + 2) + np.array([rng.uniform(-1.0, 2.0), -rng.uniform(0.8, 2.6)])
    axis = target - joint
    length = max(math.hypot(*axis), 2.5)
    along = axis / math.hypot(*axis)
    across = np.array([-along[1], along[0]])
    profile = [(0.0, 0.3), (0.15, 0.35), (0.5, 0.95), (0.9, 1.35), (1.02, 0.8), (1.05, 0.0)]
    rim = [joint + along * length * s + across * w * size for s, w in profile]
    rim += [joint + along * length * s - across * w * size for s, w in profile[::-1]]
    outline = np.column_stack([np.array(rim), np.full(len(rim), 2.0 * side)])
    image.add_solid(outline, 0.22, density * 0.6, roundness=0.0)
    ridge = np.array([[*(joint + along * length * s + across * 0.1), 2.0 * side] for s in (0.1, 0.5, 0.95)])
    image.add_tube(ridge, 0.05, density * 1.8)
    image.add_tube(np.vstack([outline, outline[:1]]), 0.03, density * 1.0)
