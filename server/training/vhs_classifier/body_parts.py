"""Radiographs of what is no dog's lateral thorax, from the same primitives and through the same detector.

Were only the thorax drawn so, the network would learn what drawing looks like. Units as in `vhs.attenuation`: about
two centimetres; here y points down the picture, whatever the body part.
"""

# ruff: noqa: RUF005
# (Points are arrays: "+" adds them.)

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from vhs.attenuation import AttenuationMap, FloatArray, View
from vhs.exposure import expose
from vhs.organs import SOFT, smooth_curve, soften_bone
from vhs.textures import cloud

Picture = NDArray[np.uint8]
SIDE = 160
"""Longer side of a drawn picture, in pixels."""


def draw_body_part(rng: np.random.Generator) -> Picture:
    """One of them, head up or in the direction that people usually hang it."""
    names = list(_PARTS)
    return draw_named(names[int(rng.integers(len(names)))], rng)


def draw_named(name: str, rng: np.random.Generator) -> Picture:
    """The body part of that name, a key of `body_parts`."""
    image = _PARTS[name](rng)
    values = np.maximum(soften_bone(image.values, rng, image.view.scale), 0)
    return expose(values, rng, image.view.scale)


def body_parts() -> list[str]:
    """Names of what can be drawn."""
    return list(_PARTS)


def _canvas(rng: np.random.Generator, aspect: float, height_units: float) -> AttenuationMap:
    """An empty map whose origin is the middle of the picture; ``aspect`` is width over height."""
    height = SIDE if aspect < 1 else round(SIDE / aspect)
    width = round(SIDE * aspect) if aspect < 1 else SIDE
    middle = np.array([width, height]) * (0.5 + rng.normal(0, 0.03, 2))
    view = View(height / height_units, (float(middle[0]), float(middle[1])), rotation=math.radians(rng.normal(0, 4)))
    return AttenuationMap((height, width), view)


def _ellipse(centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0) -> FloatArray:
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    points = np.column_stack([np.cos(angles) * radii[0], np.sin(angles) * radii[1]])
    cosine, sine = math.cos(turn), math.sin(turn)
    turned: FloatArray = points @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    return turned


def _column(image: AttenuationMap, line: FloatArray, width: float, rng: np.random.Generator, density: float) -> None:
    """Vertebrae seen from the front or the side along a line, about one unit long each."""
    steps = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    count = max(2, int(steps[-1] / rng.uniform(0.8, 1.2)))
    edges = np.linspace(0, steps[-1], count + 1)
    points = np.column_stack([np.interp(edges, steps, line[:, axis]) for axis in (0, 1)])
    frontal = rng.random() < 0.5
    for start, end in itertools.pairwise(points):
        along = (end - start) / max(math.dist(start, end), 1e-6)
        across = np.array([along[1], -along[0]])
        a, b = start + along * 0.07, end - along * 0.07
        body = np.array(
            [a - across * width / 2, a + across * width / 2, b + across * width / 2, b - across * width / 2]
        )
        image.add_solid(body, width, density * rng.uniform(0.3, 0.5), roundness=0.5, edge=width / 3)
        image.add_tube(np.vstack([body, body[:1]]), 0.04, density * 1.4)
        middle = (a + b) / 2
        if frontal:
            for side in (-1, 1):
                image.add_tube(
                    np.array([middle + across * side * width * 0.32, middle + across * side * width * 0.36]),
                    0.14,
                    density,
                )
                tip = middle + across * side * width * rng.uniform(0.8, 1.2)
                image.add_tube(
                    np.array([middle + across * side * width * 0.4, tip]), np.array([0.12, 0.07]), density * 0.6
                )
            image.add_tube(np.array([middle, middle + along * 0.4]), 0.1, density * 0.9)
        else:
            image.add_tube(
                np.array([middle + across * width * 0.9, middle + across * width * rng.uniform(1.3, 2.6)]),
                0.14,
                density * 0.6,
            )


def _long_bone(image: AttenuationMap, a: FloatArray, b: FloatArray, radius: float, density: float) -> None:
    s = np.linspace(0, 1, 9)
    flare = np.interp(s, [0, 0.12, 0.3, 0.75, 0.92, 1], [1.5, 1.45, 1.0, 0.95, 1.3, 1.4])
    image.add_tube(a + (b - a) * s[:, None], radius * flare, density * 0.5, wall=0.22, core=0.25)


def _gas(
    image: AttenuationMap, rng: np.random.Generator, count: int, spread: tuple[float, float], centre: FloatArray
) -> None:
    for _ in range(count):
        place = centre + rng.uniform(-1, 1, 2) * spread
        size = rng.uniform(0.25, 1.3)
        ring = _ellipse((float(place[0]), float(place[1])), (size, size * rng.uniform(0.3, 1)), rng.uniform(0, 3.1))
        image.add_solid(ring, size * 1.5, -SOFT * rng.uniform(0.3, 0.9), 1.0)


def _wires(image: AttenuationMap, rng: np.random.Generator, size: float) -> None:
    """Leads, tubes and drains."""
    if rng.random() > 0.35:
        return
    for _ in range(int(rng.integers(1, 6))):
        points = smooth_curve(rng.uniform(-size, size, (4, 2)), 30)
        image.add_tube(points, rng.uniform(0.03, 0.1), rng.uniform(0.5, 4.0))


def _frontal_chest(rng: np.random.Generator) -> AttenuationMap:
    """A human chest (wide, clavicles, shoulders) or a dog's ventrodorsal one (long, forelimbs pulled forward)."""
    human = rng.random() < 0.5
    image = _canvas(rng, rng.uniform(0.8, 1.25) if human else rng.uniform(0.55, 1.0), rng.uniform(9.5, 13.5))
    half = rng.uniform(4.0, 5.6) if human else rng.uniform(2.6, 4.2)
    density, thickness = rng.uniform(0.4, 1.0), rng.uniform(4.5, 8)
    trunk = np.array(
        [[-half * 0.8, -9], [half * 0.8, -9], [half * 1.25, 0], [half * 1.15, 9], [-half * 1.15, 9], [-half * 1.25, 0]]
    )
    image.add_solid(trunk, thickness, SOFT, roundness=1.0, edge=2.2)
    base = rng.uniform(2.2, 4.0)
    for side in (-1.0, 1.0):
        dome = base - rng.uniform(-0.3, 0.8)
        outline = [(0.5, -4.6), (1.6, -5.2), (half * 0.75, -3.4), (half, 0), (half * 1.02, base + 1.0)]
        outline += [(half * 0.6, dome), (0.9, dome + 0.5), (rng.uniform(0.5, 1.4), 0.5)]
        lung = smooth_curve(np.array([*outline, outline[0]]) * [side, 1], 60)
        image.add_solid(lung, thickness * rng.uniform(0.35, 0.65), -SOFT * rng.uniform(0.6, 0.95), 1.0, edge=1.4)
        for _ in range(int(rng.integers(6, 16))):
            hilus = np.array([side * 0.9, rng.uniform(-1, 1)])
            end = np.array([side * rng.uniform(1.5, half), rng.uniform(-4, base)])
            image.add_tube(np.array([hilus, end]), np.array([0.14, 0.03]), SOFT * rng.uniform(0.3, 1.2))
    lean = rng.uniform(0.0, 1.1) * rng.choice([-1, 1])
    heart = _ellipse(
        (lean, base - rng.uniform(1.4, 2.4)), (rng.uniform(1.3, 2.3), rng.uniform(1.6, 2.6)), -0.4 * np.sign(lean)
    )
    image.add_solid(heart, rng.uniform(2.0, 4.0), SOFT * 0.85, 1.0, edge=1.0)
    image.add_tube(np.array([[0.0, -6.0], [0.0, base]]), rng.uniform(0.6, 1.1), SOFT * rng.uniform(0.3, 0.8))
    image.add_tube(np.array([[0.1, -7.0], [0.0, -1.2]]), rng.uniform(0.25, 0.4), -SOFT * 0.8)
    _column(image, np.array([[0.0, -8.0], [rng.normal(0, 0.2), 0.0], [0.0, 8.0]]), rng.uniform(0.8, 1.3), rng, density)
    drop = rng.uniform(0.8, 3.0)
    for pair in range(11):
        y = -5.2 + pair * rng.uniform(0.82, 0.98)
        t = np.linspace(0, 1, 14)
        wide = half * float(np.interp(pair, [0, 3, 10], [0.5, 0.9, 1.08]))
        for side in (-1.0, 1.0):
            x = 0.4 + (wide - 0.4) * np.sin(t * math.pi * 0.5)
            back = np.column_stack([side * x, y - 0.5 * np.sin(t * math.pi) + drop * t**2 * 0.5])
            image.add_tube(back, 0.15, density * 0.8, wall=0.25, core=0.25)
            front = np.column_stack([side * (wide - (wide - 1.2) * t), back[-1, 1] + drop * t * 0.5])
            image.add_tube(front, 0.14, density * rng.uniform(0.1, 0.4))
    for side in (-1.0, 1.0):
        shoulder = np.array([side * half * 1.1, -4.8 if human else -5.8])
        if human:
            image.add_tube(
                smooth_curve(np.array([[side * 0.5, -4.6], [side * 2, -5.2], shoulder]), 20), 0.2, density * 0.7
            )
            _long_bone(image, shoulder, shoulder + [side * 0.8, 6.0], 0.4, density)
        else:
            _long_bone(image, shoulder, shoulder + [side * rng.uniform(0, 2), -5.0], 0.4, density)
    _wires(image, rng, 5)
    return image


def _pelvis(rng: np.random.Generator) -> AttenuationMap:
    image = _canvas(rng, rng.uniform(0.7, 1.2), rng.uniform(9, 14))
    density = rng.uniform(0.5, 1.0)
    image.add_solid(np.array([[-3.2, -9], [3.2, -9], [4.4, 1], [3.8, 9], [-3.8, 9], [-4.4, 1.0]]), 6, SOFT, edge=2.5)
    _column(image, np.array([[0.0, -9.0], [0.0, -2.0]]), 1.0, rng, density)
    image.add_solid(np.array([[-0.9, -2.2], [0.9, -2.2], [0.4, 0.5], [-0.4, 0.5]]), 0.9, density * 0.5, roundness=0.4)
    spread = rng.uniform(0.8, 1.2)
    for side in (-1.0, 1.0):
        wing = np.array([(0.8, -2.2), (2.4, -3.4), (2.6, -2.4), (1.9, -0.6), (2.2, 0.6), (1.3, 0.6), (1.1, -0.8)]) * [
            side * spread,
            1,
        ]
        image.add_solid(wing, 0.7, density * 0.6, roundness=0.5, edge=0.3)
        image.add_tube(np.vstack([wing, wing[:1]]), 0.06, density * 1.2)
        hip = np.array([side * 2.1 * spread, 0.4])
        image.add_solid(_ellipse((hip[0], hip[1]), (0.55, 0.55)), 1.0, density * 0.6)
        ring = _ellipse((side * 1.0 * spread, 1.9), (0.75, 1.0), side * 0.3)
        image.add_tube(np.vstack([ring, ring[:1]]), 0.3, density * 0.5)
        knee = hip + np.array([side * rng.uniform(-0.3, 1.6), rng.uniform(4.5, 6.0)])
        _long_bone(image, hip + [side * 0.5, 0.3], knee, 0.42, density)
        _long_bone(image, knee + [0, 0.3], knee + [side * rng.uniform(-0.4, 0.4), 5.5], 0.36, density)
        image.add_tube(np.array([hip, knee, knee + [0, 5.0]]), np.array([1.9, 1.3, 1.0]), SOFT * 0.8)
    _gas(image, rng, int(rng.integers(0, 6)), (2.0, 3.0), np.array([0.0, -4.0]))
    return image


def _abdomen(rng: np.random.Generator) -> AttenuationMap:
    """Lateral, from the last ribs to the pelvis."""
    image = _canvas(rng, rng.uniform(1.1, 1.9), rng.uniform(6.5, 10))
    density = rng.uniform(0.45, 1.0)
    sag = rng.uniform(-0.3, 0.6)
    outline = np.array([[-14, -4], [14, -4], [14, 2.4], [5, 3.2 + sag], [-3, 3.4 + sag], [-14, 3.0]])
    image.add_solid(outline, rng.uniform(4.5, 7), SOFT, edge=2.2)
    line = smooth_curve(np.array([[-13.0, -2.4], [-4, -2.7 + sag], [4, -2.6], [13, -2.0]]), 40)
    _column(image, line, rng.uniform(0.6, 0.9), rng, density)
    for pair in range(int(rng.integers(0, 6))):
        start = np.array([-7.5 + pair * 1.1, -2.3])
        for _ in range(2):
            reach = rng.uniform(1.5, 4.5)
            rib = smooth_curve(
                np.array([start, start + [0.6, reach / 2], start + [1.6, reach]]) + rng.normal(0, 0.1, 2), 14
            )
            image.add_tube(rib, 0.13, density * 0.6, wall=0.25, core=0.3)
    liver = np.array([[-9.0, -1.8], [-5.5, -1.0], [-4.0, 1.2], [-5.0, 3.0], [-9.0, 3.0]])
    image.add_solid(liver, 2.0, SOFT * 0.5, edge=1.0)
    for x in (-2.0, 0.2):
        image.add_solid(_ellipse((x, -0.9), (1.3, 0.75), 0.2), 1.2, SOFT * rng.uniform(0.1, 0.4))
    _gas(image, rng, int(rng.integers(2, 16)), (5.0, 2.2), np.array([0.5, 0.6]))
    if rng.random() < 0.6:
        hip = np.array([rng.uniform(5.0, 8.0), -0.6])
        ilium = np.array([hip + [-2.2, -1.6], hip + [-1.8, -0.9], hip + [0.2, 0.4], hip + [0.5, -0.3]])
        image.add_solid(ilium, 1.0, density * 0.7, roundness=0.4)
        for _ in range(2):
            _long_bone(image, hip + rng.normal(0, 0.2, 2), hip + [rng.uniform(-2, 1.5), 5.0], 0.4, density)
    return image


def _limb(rng: np.random.Generator) -> AttenuationMap:
    """A joint or a paw, one or two of them beside each other."""
    image = _canvas(rng, rng.uniform(0.5, 1.4), rng.uniform(6, 12))
    density = rng.uniform(0.5, 1.1)
    views = int(rng.integers(1, 3))
    for view in range(views):
        x = (view - (views - 1) / 2) * rng.uniform(3.5, 5)
        joint = np.array([x, rng.uniform(-1.5, 1.5)])
        bend = rng.uniform(-1.2, 1.2)
        up = joint + np.array([math.sin(bend) * 6, -math.cos(bend) * 6])
        down = joint + np.array([rng.normal(0, 0.8), 6.0])
        image.add_tube(np.array([up, joint, down]), np.array([1.9, 1.3, 0.9]) * rng.uniform(0.7, 1.2), SOFT)
        _long_bone(image, up, joint - [0, 0.1], rng.uniform(0.3, 0.5), density)
        _long_bone(image, joint + [0, 0.15], down, rng.uniform(0.25, 0.45), density)
        if rng.random() < 0.6:
            _long_bone(image, joint + [0.5, -0.2], down + [0.6, 0], rng.uniform(0.12, 0.25), density)
        if rng.random() < 0.5:
            for toe in range(int(rng.integers(3, 6))):
                start = joint + [(toe - 2) * 0.45, 0.6]
                for part in range(3):
                    end = start + [(toe - 2) * 0.12, rng.uniform(0.7, 1.3)]
                    _long_bone(image, start, end - [0, 0.1], 0.16 - 0.02 * part, density)
                    start = end
        if rng.random() < 0.2:
            image.add_tube(np.array([joint + [0.1, -2.0], joint + [0.2, 2.5]]), 0.12, 6.0)
    return image


def _skull(rng: np.random.Generator) -> AttenuationMap:
    """From the side, or from above."""
    image = _canvas(rng, rng.uniform(0.9, 1.6), rng.uniform(6.5, 10))
    density = rng.uniform(0.5, 1.0)
    if rng.random() < 0.35:
        return _skull_from_above(image, rng, density)
    image.add_solid(_ellipse((1.0, 0.3), (4.2, 2.8)), 4.5, SOFT, edge=1.5)
    image.add_solid(np.array([[0.0, -1.2], [-5.0, -0.2], [-5.2, 1.6], [0.0, 2.6]]), 2.5, SOFT, edge=1.0)
    brain = _ellipse((1.6, -0.6), (rng.uniform(1.7, 2.6), rng.uniform(1.3, 2.0)))
    image.add_tube(np.vstack([brain, brain[:1]]), 0.14, density * 1.1)
    image.add_solid(brain, 2.6, density * 0.22)
    nose = np.array([[0.2, -1.6], [-4.6, 0.0], [-4.4, 0.7], [-0.5, 0.6]])
    image.add_tube(nose, 0.14, density)
    image.add_solid(nose, 1.0, density * 0.3)
    jaw = np.array([[1.2, 1.0], [0.4, 2.2], [-2.0, 1.9], [-4.3, 1.2]])
    for shift in rng.normal(0, 0.12, (2, 2)):
        image.add_tube(jaw + shift, np.array([0.2, 0.35, 0.3, 0.16]), density * 0.7)
    for tooth in np.linspace(-4.2, -0.6, int(rng.integers(6, 12))):
        for y, sign in ((0.75, 1), (1.45, -1)):
            image.add_tube(np.array([[tooth, y], [tooth, y + 0.45 * sign]]), np.array([0.16, 0.05]), density * 1.8)
    image.add_solid(_ellipse((1.9, 1.1), (0.5, 0.45)), 0.6, density * 0.8)
    _column(image, np.array([[2.8, 0.4], [5.0, 1.8], [8.0, 3.4]]), 0.9, rng, density)
    image.add_tube(np.array([[0.5, 2.0], [4.0, 3.4], [8.0, 5.0]]), 0.35, -SOFT * 0.6)
    return image


def _skull_from_above(image: AttenuationMap, rng: np.random.Generator, density: float) -> AttenuationMap:
    image.add_solid(_ellipse((0, 0), (2.8, 4.5)), 4, SOFT, edge=1.2)
    brain = _ellipse((0, 1.2), (1.5, 2.0))
    image.add_solid(brain, 2.2, density * 0.3)
    image.add_tube(np.vstack([brain, brain[:1]]), 0.14, density)
    for side in (-1.0, 1.0):
        arch = smooth_curve(np.array([[side * 0.8, -1.6], [side * 2.3, 0.2], [side * 1.5, 2.2]]), 20)
        image.add_tube(arch, 0.18, density)
        image.add_tube(np.array([[side * 1.9, 1.6], [side * 1.3, -1.0], [side * 0.3, -4.0]]), 0.24, density * 0.8)
        for tooth in np.linspace(-3.6, -0.6, 7):
            image.add_solid(_ellipse((side * (0.5 + (tooth + 4) * 0.2), tooth), (0.16, 0.2)), 0.5, density * 1.6)
    _column(image, np.array([[0.0, 3.4], [0.0, 8.0]]), 1.1, rng, density)
    return image


def _tangle(rng: np.random.Generator) -> AttenuationMap:
    """Solids and tubes that are no body at all."""
    image = _canvas(rng, rng.uniform(0.6, 1.6), rng.uniform(6, 12))
    for _ in range(int(rng.integers(1, 12))):
        centre = rng.uniform(-5, 5, 2)
        ring = _ellipse((centre[0], centre[1]), (rng.uniform(0.4, 5), rng.uniform(0.4, 5)), rng.uniform(0, 3.1))
        image.add_solid(ring, rng.uniform(0.5, 5), SOFT * rng.uniform(-0.7, 1.2), rng.uniform(0, 1))
    for _ in range(int(rng.integers(0, 14))):
        points = smooth_curve(rng.uniform(-6, 6, (3, 2)), 16)
        image.add_tube(points, rng.uniform(0.05, 0.6), rng.uniform(0.1, 1.2), wall=rng.choice([None, 0.25]))
    image.values += np.float32(rng.uniform(0.02, 0.3)) * cloud(rng, image.values.shape, 2, 64, rng.uniform(0.3, 1.2))
    return image


_PARTS: dict[str, Callable[[np.random.Generator], AttenuationMap]] = {
    "frontal chest": _frontal_chest,
    "pelvis": _pelvis,
    "abdomen": _abdomen,
    "limb": _limb,
    "skull": _skull,
    "tangle": _tangle,
}
