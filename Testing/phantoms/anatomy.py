"""Backgrounds that lesions lie in: each paints its organs and vessels and says where a lesion belongs.

Hounsfield values are those of portal-venous or native CT as textbooks give them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imeasure_server.imaging.volume import Geometry
from phantoms.rendering import paint, smooth_texture
from phantoms.shapes import Array, Shape, ellipsoid, half_space, rotation_matrix, tube

SITES = ("liver", "lung", "soft tissue", "kidney", "node")


@dataclass(frozen=True)
class Scene:
    """A painted background.

    Attributes:
        image: noise-free HU.
        host: HU of the tissue around the lesion.
        contrast_sign: the sign that a lesion's contrast has here: -1, +1, or 0 for either.
        lesion_value: HU that a lesion has whatever ``contrast`` says (air around it), or None.
        foreground: shapes to paint over the lesion (vessels that run past it).
        wall: plane of a wall beside the lesion (point, outward normal, HU behind it), if there is one.
    """

    image: Array
    host: float
    contrast_sign: int
    lesion_value: float | None = None
    foreground: tuple[tuple[Shape, float], ...] = ()
    wall: tuple[Array, Array] | None = None


@dataclass(frozen=True)
class Place:
    """Where the scene is painted: the grid, the centre of the lesion (LPS mm) and its radius in mm."""

    geometry: Geometry
    centre: Array
    radius: float

    @property
    def extent(self) -> float:
        """Half the diagonal of the grid in mm."""
        return float(np.linalg.norm(self.geometry.spacing * self.geometry.shape)) / 2


def _vessel(rng: np.random.Generator, place: Place, closest: float, radius: float) -> Shape:
    """A winding vessel that passes the lesion's centre at about ``closest`` mm."""
    turn = rotation_matrix(rng)
    along = np.linspace(-1, 1, 9) * place.extent
    wobble = np.cumsum(rng.normal(0, place.extent * 0.04, (9, 2)), axis=0)
    wobble -= wobble[4]
    local = np.column_stack([along, wobble[:, 0] + closest, wobble[:, 1]])
    radii = radius * np.linspace(1.15, 0.75, 9)
    return tube(place.centre + local @ turn.T, radii)


def _vessels(rng: np.random.Generator, place: Place, count: int, radii: tuple[float, float]) -> list[Shape]:
    shapes = []
    for _ in range(count):
        radius = float(rng.uniform(*radii))
        closest = place.radius * float(rng.uniform(1.05, 2.4)) + radius + float(rng.uniform(0, 12))
        shapes.append(_vessel(rng, place, closest, radius))
    return shapes


def liver(rng: np.random.Generator, place: Place) -> Scene:
    """Liver with enhanced vessels, its capsule, fat and muscle near by."""
    geometry = place.geometry
    host = float(rng.uniform(85, 120))
    image = np.full(geometry.shape, -100.0) + smooth_texture(rng, geometry, 6, 8)
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    away = place.radius * float(rng.uniform(1.15, 2.0)) + float(rng.uniform(4, 20))
    body = half_space(place.centre + normal * (away + 14), normal)
    paint(image, geometry, half_space(place.centre + normal * (away + 45), -normal), 55.0)
    parenchyma = ellipsoid(place.centre - normal * (90 - away), np.full(3, 90.0) * rng.uniform(1.0, 1.4, 3))
    paint(image, geometry, body, -95.0)
    paint(image, geometry, parenchyma, host + smooth_texture(rng, geometry, 4, 3))
    for vessel in _vessels(rng, place, 7, (1.5, 5.5)):
        paint(image, geometry, vessel, host + float(rng.uniform(35, 70)))
    return Scene(image, host, int(rng.choice([-1, -1, 1])))


def lung(rng: np.random.Generator, place: Place) -> Scene:
    """Lung with vessels and the chest wall; half of the lesions hang on the wall or on a vessel."""
    geometry = place.geometry
    host = float(rng.uniform(-880, -780))
    image = np.full(geometry.shape, host) + smooth_texture(rng, geometry, 5, 15)
    for vessel in _vessels(rng, place, 12, (0.7, 3.0)):
        paint(image, geometry, vessel, 40.0)
    attached = rng.random() < 0.5
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    depth = place.radius * (float(rng.uniform(0.6, 0.9)) if attached else float(rng.uniform(1.3, 2.5)))
    point = place.centre + normal * depth
    chest_wall = half_space(point, -normal)
    paint(image, geometry, chest_wall, 50.0 + smooth_texture(rng, geometry, 3, 6))
    paint(image, geometry, half_space(point + normal * 6, -normal), -90.0 + smooth_texture(rng, geometry, 3, 6))
    touching: list[tuple[Shape, float]] = []
    if not attached and rng.random() < 0.5:
        touching.append((_vessel(rng, place, place.radius * 0.9, float(rng.uniform(0.8, 1.8))), 40.0))
    return Scene(image, host, 1, float(rng.uniform(0, 60)), tuple(touching), (point, normal) if attached else None)


def soft_tissue(rng: np.random.Generator, place: Place) -> Scene:
    """Muscle bellies with fat planes between them, a bone and an artery."""
    geometry = place.geometry
    host = float(rng.uniform(45, 65))
    image = np.full(geometry.shape, -105.0) + smooth_texture(rng, geometry, 5, 8)
    turn = rotation_matrix(rng)
    reach = place.radius * 1.3 + 12
    for ring in range(9):
        angle = ring * 2 * np.pi / 8 + float(rng.uniform(-0.2, 0.2))
        away = 0.0 if ring == 8 else reach * float(rng.uniform(1.25, 1.5))
        offset = turn @ np.array([np.cos(angle) * away, np.sin(angle) * away, 0.0])
        radii = np.array([reach * float(rng.uniform(0.8, 1.0)), reach * 0.85, place.extent * 1.5])
        belly = ellipsoid(place.centre + offset, radii, turn)
        paint(image, geometry, belly, host + smooth_texture(rng, geometry, 3, 5) - 5.0 * (ring % 2))
    axis = turn[:, 2] * place.extent * 1.5
    side = turn[:, 0] * (place.radius * float(rng.uniform(1.3, 1.6)) + 12)
    paint(
        image,
        geometry,
        tube(np.array([place.centre + side - axis, place.centre + side + axis]), np.full(2, 9.0)),
        700.0,
    )
    for vessel in _vessels(rng, place, 3, (1.5, 4.0)):
        paint(image, geometry, vessel, host + float(rng.uniform(40, 100)))
    return Scene(image, host, int(rng.choice([-1, 1])))


def kidney(rng: np.random.Generator, place: Place) -> Scene:
    """An enhanced kidney in fat; the lesion is in its cortex and often bulges out of it."""
    geometry = place.geometry
    host = float(rng.uniform(140, 190))
    image = np.full(geometry.shape, -100.0) + smooth_texture(rng, geometry, 5, 8)
    turn = rotation_matrix(rng)
    radii = np.array([28.0, 32.0, 55.0]) * max(1.0, place.radius / 22)
    outwards = turn[:, 0]
    bulge = float(rng.uniform(0.0, 0.8)) * place.radius
    centre = place.centre - outwards * (radii[0] - max(place.radius * 1.1 - bulge, 0.3 * place.radius))
    paint(image, geometry, ellipsoid(centre, radii, turn), host + smooth_texture(rng, geometry, 3, 5))
    paint(image, geometry, ellipsoid(centre - outwards * radii[0] * 0.35, radii * 0.4, turn), -60.0)
    for vessel in _vessels(rng, place, 4, (1.5, 4.0)):
        paint(image, geometry, vessel, host + 20.0)
    muscle = half_space(place.centre + turn[:, 1] * (place.radius * 1.6 + 20), -turn[:, 1])
    paint(image, geometry, muscle, 55.0 + smooth_texture(rng, geometry, 3, 5))
    return Scene(image, host, -1)


def node(rng: np.random.Generator, place: Place) -> Scene:
    """Fat with enhanced vessels, muscle and other, separate nodes close by."""
    geometry = place.geometry
    image = np.full(geometry.shape, -100.0) + smooth_texture(rng, geometry, 4, 10)
    normal = rotation_matrix(rng)[:, 0]
    muscle = half_space(place.centre + normal * (place.radius * 1.3 + float(rng.uniform(1, 10))), -normal)
    paint(image, geometry, muscle, 55.0 + smooth_texture(rng, geometry, 3, 5))
    for vessel in _vessels(rng, place, 5, (2.0, 6.0)):
        paint(image, geometry, vessel, float(rng.uniform(120, 190)))
    for _ in range(4):
        direction = rotation_matrix(rng)[:, 0]
        size = place.radius * float(rng.uniform(0.3, 0.8))
        away = place.radius * 1.35 + size * 1.2 + float(rng.uniform(1, 15))
        paint(image, geometry, ellipsoid(place.centre + direction * away, size * rng.uniform(0.7, 1.2, 3)), 50.0)
    return Scene(image, -100.0, 1, float(rng.uniform(25, 80)))


PAINTERS: dict[str, Callable[[np.random.Generator, Place], Scene]] = {
    "liver": liver,
    "lung": lung,
    "soft tissue": soft_tissue,
    "kidney": kidney,
    "node": node,
}
