"""One CT-like volume with one lesion whose mask is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imeasure_server.imaging.volume import Geometry, Volume
from phantoms.anatomy import PAINTERS, SITES, Place, Scene
from phantoms.rendering import coverage, paint, scan, smooth_texture
from phantoms.shapes import Array, Shape, half_space, intersection, lumpy_ball, rotation_matrix

FORMS = ("round", "oval", "lobulated", "spiculated")


@dataclass(frozen=True, eq=False)
class LesionPhantom:
    """A simulated CT and the lesion in it.

    Attributes:
        volume: int16 HU.
        truth: (x, y, z) bool, voxels at least half filled by the lesion (vessels that cross it excluded).
        description: a sentence: site, form, size, contrast, noise.
        site: one of ``phantoms.anatomy.SITES``.
        diameter: nominal diameter in mm.
    """

    volume: Volume
    truth: NDArray[np.bool_]
    description: str
    site: str
    diameter: float


def make_lesion_phantom(
    seed: int,
    shape: tuple[int, int, int] = (128, 128, 32),
    spacing: tuple[float, float, float] = (0.8, 0.8, 3.0),
    directions: ArrayLike | None = None,
    origin: ArrayLike | None = None,
    *,
    site: str | None = None,
    form: str | None = None,
    diameter: float | None = None,
    contrast: float | None = None,
    noise: float | None = None,
) -> LesionPhantom:
    """Make a phantom; the same arguments give the same bytes.

    The anatomy lies in patient space around the middle of the grid, so an oblique grid cuts it obliquely.

    Args:
        seed: of everything that is not given.
        shape: voxels along x, y and z.
        spacing: mm along x, y and z; the slice profile widens with the third.
        directions: 3x3, columns are the LPS directions of the axes (default: identity).
        origin: LPS mm of voxel (0, 0, 0) (default: the grid is centred on the patient's origin).
        site: one of ``SITES``.
        form: one of ``FORMS``.
        diameter: of the lesion in mm (default: 8 to 45 % of the smallest side of the grid).
        contrast: HU between the lesion and its host (default 25 to 110; unused for lesions in air or fat).
        noise: standard deviation in HU (default 10 to 28).
    """
    rng = np.random.default_rng([20240611, seed])
    axes = np.eye(3) if directions is None else np.asarray(directions, float)
    middle = (np.array(shape) - 1) / 2 * np.array(spacing)
    start = -axes @ middle if origin is None else np.asarray(origin, float)
    geometry = Geometry.from_axes(start, spacing, axes, shape)
    site = site or str(rng.choice(SITES))
    form = form or str(rng.choice(FORMS))
    smallest = float((np.array(shape) * spacing).min())
    diameter = diameter or float(np.exp(rng.uniform(np.log(8.0), np.log(max(9.0, 0.45 * smallest)))))
    contrast = contrast or float(rng.uniform(25, 110))
    noise = noise or float(rng.uniform(10, 28))
    jitter = rng.uniform(-0.06, 0.06, 3) * np.array(shape)
    place = Place(geometry, geometry.to_world((np.array(shape) - 1) / 2 + jitter), diameter / 2)
    scene = PAINTERS[site](rng, place)
    truth = _paint_lesion(rng, scene, place, form, contrast)
    hu = scan(scene.image, geometry, rng, noise, slice_blur_mm=0.25 * spacing[2])
    array = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    text = f"{site}, {form}, {diameter:.0f} mm, noise {noise:.0f} HU, seed {seed}"
    return LesionPhantom(Volume(array, geometry), truth, text, site, diameter)


def _paint_lesion(
    rng: np.random.Generator, scene: Scene, place: Place, form: str, contrast: float
) -> NDArray[np.bool_]:
    geometry = place.geometry
    lesion = _lesion_shape(rng, form, place.centre, place.radius)
    if scene.wall is not None:
        point, normal = scene.wall
        lesion = intersection(lesion, half_space(point, normal))
    value = scene.lesion_value
    if value is None:
        sign = scene.contrast_sign or int(rng.choice([-1, 1]))
        value = scene.host + sign * contrast
    tissue = value + smooth_texture(rng, geometry, max(2.0, place.radius / 4), 4.0)
    filled = paint(scene.image, geometry, lesion, tissue)
    if place.radius > 12 and rng.random() < 0.4:  # necrosis, mild
        core = _lesion_shape(rng, "oval", place.centre, place.radius * 0.45)
        block, core_filled = coverage(core, geometry)
        scene.image[block] -= 12.0 * core_filled * filled[block]
    for over, hu in scene.foreground:
        covered = paint(scene.image, geometry, over, hu)
        filled = filled * (1 - covered)
    return np.asarray(filled >= 0.5)


def _lesion_shape(rng: np.random.Generator, form: str, centre: Array, radius: float) -> Shape:
    turn = rotation_matrix(rng)
    round_radii = np.full(3, radius)
    directions = rng.normal(size=(24, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if form == "round":
        return lumpy_ball(centre, round_radii, turn, directions[:8], rng.uniform(-0.07, 0.07, 8), 0.6)
    oval_radii = radius * np.array([1.0, float(rng.uniform(0.65, 0.9)), float(rng.uniform(0.55, 0.85))])
    if form == "oval":
        return lumpy_ball(centre, oval_radii, turn, directions[:8], rng.uniform(-0.1, 0.1, 8), 0.5)
    if form == "lobulated":
        return lumpy_ball(centre, oval_radii, turn, directions[:10], rng.uniform(-0.22, 0.3, 10), 0.45)
    if form == "spiculated":
        return lumpy_ball(centre, round_radii * 0.85, turn, directions, rng.uniform(0.1, 0.6, 24), 0.13)
    raise ValueError(f"Unknown form {form!r}: choose one of {', '.join(FORMS)}.")
