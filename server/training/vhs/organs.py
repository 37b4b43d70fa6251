"""Soft parts: skin, lungs, heart with its great vessels, airways, diaphragm and abdomen."""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import CubicSpline

from vhs.attenuation import AttenuationMap, FloatArray, Picture
from vhs.heart import Heart
from vhs.rib_cage import Sternum
from vhs.spine import T1, Spine
from vhs.textures import cloud

SOFT = 0.26
"""Attenuation of soft tissue per unit of length; a unit is about two centimetres."""


def smooth_curve(points: FloatArray, count: int = 40) -> FloatArray:
    """(count, 2) along a spline through points."""
    steps = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    curve: FloatArray = CubicSpline(steps, points)(np.linspace(0, steps[-1], count))
    return curve


def diaphragm_line(spine: Spine, heart: Heart, sternum: Sternum, rng: np.random.Generator) -> FloatArray:
    """(n, 2) from the spine to the sternum, convex towards the head."""
    index = T1 + int(rng.integers(9, 13))
    _, dorsal = spine.axes(index)
    top = spine.middle(index) - dorsal * spine.heights[index] * 0.4
    apex = heart.landmarks()[1]
    caudal_border = heart.landmarks()[3]
    room = rng.uniform(-0.3, 1.2)
    cupola_x = max(apex[0] + room * 0.6, caudal_border[0] + 0.1 + max(room, 0) * 0.5)
    cupola = np.array([min(cupola_x, top[0] - 0.5), apex[1] - rng.uniform(0.6, 1.8)])
    foot = np.array([max(cupola[0], apex[0]) + rng.uniform(-0.2, 0.8), sternum.height_at(apex[0] + 0.5) + 0.1])
    between = top * 0.5 + cupola * 0.5 + np.array([rng.uniform(-0.35, 0.55), rng.uniform(-0.2, 0.5)])
    return smooth_curve(np.array([top, between, cupola, foot]))


def thorax_outline(spine: Spine, sternum: Sternum, diaphragm: FloatArray, inset: float = 0.0) -> FloatArray:
    """(n, 2) of the pleural cavity, from the first rib to the diaphragm."""
    dorsal_line = []
    for index in range(T1, T1 + 13):
        _, dorsal = spine.axes(index)
        dorsal_line.append(spine.middle(index) + dorsal * (0.1 - inset))
    spine_line = np.array(dorsal_line)
    spine_line = spine_line[spine_line[:, 0] < diaphragm[0, 0] - 0.1]
    floor = sternum.at(np.linspace(0.98, 0.1, 20)) - np.array([0, 0.12 + inset])
    floor = floor[floor[:, 0] < diaphragm[-1, 0]]
    front = np.array([floor[-1] * 0.55 + spine_line[0] * 0.45 + np.array([-0.5, 0.2])])  # the first ribs bow forward
    return np.concatenate([spine_line, diaphragm, floor, front])


def draw_skin(
    image: AttenuationMap, spine: Spine, sternum: Sternum, rng: np.random.Generator, thickness: float, fat: float
) -> None:
    """The trunk from neck to loins, with subcutaneous fat a little less dense."""
    back, height = [], rng.uniform(1.9, 3.0)
    for index in range(len(spine.heights)):
        _, dorsal = spine.axes(index)
        rise = height * float(np.interp(index, [0, T1 - 1, T1 + 2, T1 + 9, T1 + 13], [0.75, 0.9, 1.1, 0.85, 0.55]))
        back.append(spine.middle(index) + dorsal * (rise + fat))
    belly = sternum.at(np.linspace(0, 1, 8)) + np.array([0, 0.5 + fat * rng.uniform(0.5, 1.2)])
    end = np.array([back[-1][0] + 1.0, belly[-1][1] - rng.uniform(-0.4, 2.5)])
    throat = np.array([back[0][0] - 1, spine.middle(0)[1] + rng.uniform(1.5, 3.2)])
    chest = belly[0] + np.array([-rng.uniform(0.6, 1.8), -rng.uniform(0.2, 1.2)])
    front = smooth_curve(np.array([throat, (throat + chest) / 2 + [0.0, 0.4], chest, belly[0], belly[2]]), 20)[:-4]
    head_end = np.array([back[0][0] - 4, back[0][1] - 3.0])
    outline = np.concatenate(
        [[head_end], back, [back[-1] + np.array([4.0, 0.0]), end + np.array([4.0, 0.0])], belly[::-1][:-2], front[::-1]]
    )
    image.add_solid(outline, thickness, SOFT, roundness=1.0, edge=3.2)
    lean = outline.copy()
    centre = lean.mean(0)
    image.add_solid(centre + (lean - centre) * (1 - 0.06 * (1 + fat)), 0.35 * thickness, SOFT * 0.4, edge=1.2)


def draw_lungs(
    image: AttenuationMap,
    outline: FloatArray,
    heart: Heart,
    rng: np.random.Generator,
    depth: float,
    aeration: float,
) -> None:
    """Air in the pleural cavity where the heart is not, and the heart's own density."""
    profile, box = image.profile(outline, 1.0, 2.2)
    if profile is None:
        return
    (top, bottom), (left, right) = box
    pixels = image.view.scale
    grain = cloud(rng, profile.shape, 0.05 * pixels, 1.2 * pixels, 0.7)
    air = profile * depth * aeration * (1 + rng.uniform(0.02, 0.07) * grain)
    image.values[top:bottom, left:right] -= (SOFT * 0.9 * air).astype(np.float32)
    heart_depth = min(heart.short_axis * rng.uniform(0.55, 1.0), depth * 0.95)
    local = AttenuationMap(image.values.shape, image.view)
    local.add_solid(
        heart.outline(), heart_depth, SOFT * 0.9 * aeration, 1.0, edge=heart.short_axis * rng.uniform(0.16, 0.55)
    )
    shallow = rng.uniform(0.1, 0.7)
    local.values *= (shallow + (1 - shallow) * heart.depth_share(image.view.bodies(image.values.shape))).astype(
        np.float32
    )
    soft_limit = np.zeros_like(image.values)
    soft_limit[top:bottom, left:right] = np.clip(profile * 4, 0, 1)
    image.values += local.values * np.maximum(soft_limit, 0.15)


def draw_airways_and_vessels(
    image: AttenuationMap,
    spine: Spine,
    heart: Heart,
    diaphragm: FloatArray,
    rng: np.random.Generator,
    aeration: float,
) -> None:
    """Trachea to the carina, main bronchi, aorta, caudal vena cava, cranial mediastinum and lung vessels."""
    base = np.array(heart.base)
    radius = rng.uniform(0.2, 0.34)
    carina = base + np.array([rng.uniform(-0.15, 0.1), -radius - rng.uniform(0.0, 0.12)])
    inlet = spine.middle(T1) + np.array([rng.uniform(-0.6, 0.2), rng.uniform(1.0, 1.9)])
    neck = spine.middle(1) + np.array([0.0, rng.uniform(1.0, 1.7)])
    path = smooth_curve(np.array([neck, inlet, (inlet + carina) / 2 + [0, rng.uniform(-0.2, 0.25)], carina]), 24)
    image.add_tube(path, radius, -SOFT * rng.uniform(0.75, 1.1))
    for edge in (-1.0, 1.0):
        image.add_tube(path + np.array([0.0, edge * radius]), 0.03, SOFT * rng.uniform(0.3, 1.6))
    for angle in (rng.uniform(0.0, 0.4), rng.uniform(0.3, 0.9)):
        bronchus = np.array([carina, carina + 1.8 * np.array([math.cos(angle), math.sin(angle)])])
        image.add_tube(bronchus, np.array([0.75, 0.35]) * radius, -SOFT * 0.7)
    ring = carina + radius * 0.75 * np.column_stack([np.cos(np.linspace(0, 6.3, 12)), np.sin(np.linspace(0, 6.3, 12))])
    image.add_tube(ring, 0.035, SOFT * rng.uniform(0.3, 1.5))
    _draw_great_vessels(image, spine, heart, carina, diaphragm, rng)
    _draw_lung_vessels(image, carina + np.array([0.5, 0.3]), heart, rng)
    mediastinum = np.array(
        [
            inlet + np.array([0.4, -0.2]),
            carina - np.array([0.3, -0.1]),
            heart.border("cranial")[8],
            inlet + np.array([0.6, 1.7]),
        ]
    )
    image.add_solid(mediastinum, rng.uniform(0.5, 2.2), SOFT * aeration * 0.8, roundness=1.0, edge=0.9)


def _draw_great_vessels(
    image: AttenuationMap,
    spine: Spine,
    heart: Heart,
    carina: FloatArray,
    diaphragm: FloatArray,
    rng: np.random.Generator,
) -> None:
    under = []
    for index in range(T1 + 5, T1 + 13):
        _, dorsal = spine.axes(index)
        under.append(spine.middle(index) - dorsal * rng.uniform(0.75, 0.85))
    root = heart.place(np.array([0.1]), np.array([-0.25 * heart.short_axis]))[0]
    arch = np.array([root, carina + np.array([-0.9, -0.1]), carina + np.array([-0.1, -0.75])])
    aorta = smooth_curve(np.concatenate([arch, under[1:]]), 30)
    image.add_tube(aorta, rng.uniform(0.3, 0.42), SOFT * rng.uniform(0.15, 0.7))
    atrium = heart.landmarks()[4]
    cava_radius = rng.uniform(0.24, 0.4)
    start = atrium + np.array([-0.3, cava_radius + 0.05])
    row = int(np.argmin(np.abs(diaphragm[:, 1] - (start[1] + rng.uniform(0.0, 1.0)))))
    end = diaphragm[row]
    if end[0] > start[0] + 0.4:
        path = np.column_stack([np.linspace(start[0], end[0] + 0.3, 8), np.linspace(start[1], end[1], 8)])
        image.add_tube(path, cava_radius, SOFT * rng.uniform(0.3, 0.95))


def _draw_lung_vessels(image: AttenuationMap, hilus: FloatArray, heart: Heart, rng: np.random.Generator) -> None:
    strength = SOFT * rng.uniform(0.4, 1.6)
    for _ in range(int(rng.integers(24, 60))):
        angle = rng.uniform(-0.7, 1.1) if rng.random() < 0.7 else rng.uniform(1.1, 3.6)
        length, width = rng.uniform(1.0, 5.0), rng.uniform(0.05, 0.17)
        bend = rng.normal(0, 0.5)
        t = np.linspace(0, 1, 8)
        direction = angle + bend * t
        path = hilus + rng.normal(0, 0.35, 2)
        steps = length / 7 * np.column_stack([np.cos(direction), np.sin(direction)])
        points = np.vstack([path, path + np.cumsum(steps[1:], axis=0)])
        image.add_tube(points, width * np.linspace(1, 0.2, 8), strength)


def draw_abdomen(
    image: AttenuationMap, spine: Spine, diaphragm: FloatArray, rng: np.random.Generator, thickness: float
) -> None:
    """Liver and guts behind the diaphragm, with gas."""
    right = spine.caudal[-1][0] + 5
    floor = diaphragm[-1][1] + 0.2
    outline = np.concatenate([diaphragm, [[right, floor], [right, diaphragm[0][1]]]])
    image.add_solid(outline, thickness * 0.12, SOFT, roundness=0.6, edge=2.5)
    middle = diaphragm[len(diaphragm) // 2]
    for _ in range(int(rng.integers(0, 9))):
        centre = middle + np.array([rng.uniform(1.5, 8), rng.uniform(-1.6, 2.5)])
        _draw_gas(image, centre, rng.uniform(0.2, 1.0), rng)
    if rng.random() < 0.45:
        _draw_gas(image, middle + np.array([rng.uniform(1.2, 3.0), rng.uniform(-1.5, 1.5)]), rng.uniform(0.9, 1.9), rng)


def _draw_gas(image: AttenuationMap, centre: FloatArray, size: float, rng: np.random.Generator) -> None:
    angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    wave = 1 + 0.15 * np.sin(angles * int(rng.integers(2, 5)) + rng.uniform(0, 6))
    turn = rng.uniform(0, math.pi)
    ring = np.column_stack([np.cos(angles) * size, np.sin(angles) * size * rng.uniform(0.35, 1)]) * wave[:, None]
    cosine, sine = math.cos(turn), math.sin(turn)
    image.add_solid(
        centre + ring @ np.array([[cosine, sine], [-sine, cosine]]), size * 1.3, -SOFT * rng.uniform(0.3, 0.9), 1.0
    )


def soften_bone(image: Picture, rng: np.random.Generator, pixels: float) -> Picture:
    """Trabecular and muscular grain over everything."""
    grain = cloud(rng, image.shape, 0.04 * pixels, 0.8 * pixels, 0.4)
    fibres = cloud(rng, image.shape, 0.6 * pixels, 4 * pixels, 0.8)
    return image * (1 + np.float32(rng.uniform(0.004, 0.014)) * grain + np.float32(rng.uniform(0.01, 0.05)) * fibres)
