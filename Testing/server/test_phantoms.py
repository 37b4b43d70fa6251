"""The phantoms are what they say: their truth is the analytic one, their noise and contrast are as asked."""

from __future__ import annotations

import numpy as np
import pytest

from imeasure_server.imaging.volume import Geometry
from phantoms import correction, deepest_voxel, extreme_points, first_click, make_lesion_phantom
from phantoms.anatomy import SITES
from phantoms.generator import FORMS
from phantoms.rendering import coverage
from phantoms.shapes import ellipsoid, tube
from phantoms.suite import suite_member

SMALL = {"shape": (64, 64, 20), "spacing": (1.0, 1.0, 3.0)}
OBLIQUE = np.linalg.qr(np.array([[1.0, 0.2, 0.1], [0.1, -1.0, 0.3], [0.2, 0.1, 1.0]]))[0]


@pytest.mark.parametrize("site", SITES)
def test_same_seed_gives_same_bytes_and_another_seed_does_not(site: str) -> None:
    first, again, other = (make_lesion_phantom(seed, **SMALL, site=site) for seed in (3, 3, 4))
    assert first.volume.array.tobytes() == again.volume.array.tobytes()
    assert first.truth.tobytes() == again.truth.tobytes()
    assert first.volume.array.tobytes() != other.volume.array.tobytes()


@pytest.mark.parametrize("form", FORMS)
def test_lesion_has_about_the_size_that_was_asked(form: str) -> None:
    phantom = make_lesion_phantom(5, (96, 96, 40), (0.8, 0.8, 2.0), site="soft tissue", form=form, diameter=30.0)
    volume = phantom.truth.sum() * phantom.volume.geometry.voxel_volume
    ball = np.pi / 6 * 30.0**3
    assert 0.25 * ball < volume < 1.6 * ball


@pytest.mark.parametrize("directions", [np.eye(3), np.diag([-1.0, 1.0, -1.0]), OBLIQUE])
def test_coverage_of_an_ellipsoid_adds_up_to_its_volume_on_any_grid(directions: np.ndarray) -> None:
    geometry = Geometry.from_axes((10, -20, 30), (0.9, 0.9, 4.0), directions, (48, 48, 16))
    centre = geometry.to_world((23.3, 24.1, 7.6))
    radii = np.array([14.0, 9.0, 11.0])
    _, filled = coverage(ellipsoid(centre, radii), geometry)
    expected = 4 / 3 * np.pi * radii.prod()
    assert filled.sum() * geometry.voxel_volume == pytest.approx(expected, rel=0.01)


def test_coverage_is_what_supersampling_every_voxel_gives() -> None:
    geometry = Geometry.from_axes((0, 0, 0), (1.0, 1.0, 2.5), OBLIQUE, (20, 22, 12))
    shape = tube(geometry.to_world([[2, 3, 1], [12, 10, 6], [16, 19, 10]]), np.array([2.5, 1.5, 3.0]))
    block, filled = coverage(shape, geometry)
    full = np.zeros(geometry.shape)
    full[block] = filled
    steps = (np.arange(4) + 0.5) / 4 - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    indices = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    inside = shape.value(geometry.to_world((indices + offsets).reshape(-1, 3))) < 0
    np.testing.assert_allclose(full, inside.reshape(*geometry.shape, -1).mean(axis=-1))


def test_contrast_and_noise_are_as_asked() -> None:
    phantom = make_lesion_phantom(
        11, (96, 96, 32), (0.8, 0.8, 3.0), site="liver", form="round", diameter=30.0, contrast=60.0, noise=15.0
    )
    image, truth = phantom.volume.array.astype(float), phantom.truth
    spacing = phantom.volume.geometry.spacing
    x, y, z = (int(v) for v in deepest_voxel(truth, spacing))
    core = image[x - 6 : x + 7, y - 6 : y + 7, z - 1 : z + 2]
    assert core.std() == pytest.approx(15.0, rel=0.35)
    # Portal-venous liver is 85 to 120 HU; the lesion is 60 HU darker or brighter.
    level = core.mean()
    assert 10 < level < 75 or 130 < level < 195


def test_the_same_anatomy_on_another_grid_has_the_same_volume() -> None:
    arguments = {"site": "node", "form": "oval", "diameter": 24.0}
    coarse = make_lesion_phantom(2, (64, 64, 20), (1.0, 1.0, 3.0), **arguments)
    flipped = make_lesion_phantom(2, (64, 64, 20), (1.0, 1.0, 3.0), np.diag([-1.0, -1.0, 1.0]), **arguments)
    volumes = [p.truth.sum() * p.volume.geometry.voxel_volume for p in (coarse, flipped)]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.05)


def test_clicks_follow_their_rules() -> None:
    truth = np.zeros((40, 30, 12), dtype=bool)
    truth[5:26, 10:19, 4:9] = True
    spacing = (1.0, 1.0, 2.0)
    click = first_click(truth, spacing)
    assert click.positive
    assert click.position[1:] == (14.0, 6.0)
    first, second = extreme_points(truth, spacing)
    assert np.linalg.norm(np.subtract(first, second)) == pytest.approx(np.hypot(20, 8))
    assert correction(truth, truth, spacing, 1) is None
    missed = truth.copy()
    missed[16:] = False
    fix = correction(missed, truth, spacing, 1)
    assert fix is not None
    assert fix.positive
    assert truth[fix.voxel]
    assert not missed[fix.voxel]
    leaked = truth.copy()
    leaked[26:39, 10:19, 4:9] = True
    fix = correction(leaked, truth, spacing, 2)
    assert fix is not None
    assert not fix.positive
    assert not truth[fix.voxel]


def test_suite_members_do_not_depend_on_the_suite_s_length() -> None:
    member = suite_member(4)
    assert member.truth.any()
    assert member.volume.array.tobytes() == suite_member(4).volume.array.tobytes()
