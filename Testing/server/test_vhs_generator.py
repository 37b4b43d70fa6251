"""The synthetic radiographs: landmarks exact by construction, chords of solids as geometry has them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from vhs.anatomy import sample_thorax
from vhs.attenuation import AttenuationMap, View
from vhs.heart import sample_heart
from vhs.spine import T4, T9, sample_spine

from imeasure_server.vhs.score import score_landmarks
from phantoms.radiograph import lateral_thorax

FLAT = View(scale=20.0, offset=(100.0, 80.0))


def test_a_tube_has_the_volume_of_a_cylinder() -> None:
    """The sum of all chords is the volume; a cylinder of radius 1 and length 4 with two half spheres at its ends."""
    image = AttenuationMap((160, 240), FLAT)
    image.add_tube(np.array([[-1.0, 0.0], [3.0, 0.0]]), 1.0, 1.0)
    volume = float(image.values.sum()) / 20.0**2
    assert volume == pytest.approx(math.pi * 4 + 4 / 3 * math.pi, rel=0.01)
    assert image.values.max() == pytest.approx(2.0, rel=0.01)


def test_a_hollow_tube_lacks_its_core() -> None:
    image = AttenuationMap((160, 240), FLAT)
    image.add_tube(np.array([[-1.0, 0.0], [3.0, 0.0]]), 1.0, 1.0, wall=0.25, core=0.0)
    middle = image.values[79:81, 120:160].mean()
    assert middle == pytest.approx(2 * 0.25, rel=0.05)


def test_projection_of_depth_follows_yaw_and_roll() -> None:
    view = View(scale=10.0, offset=(0.0, 0.0), yaw=math.radians(10), roll=math.radians(-5))
    moved = view.project(np.array([[0.0, 0.0, 2.0]]))[0]
    assert moved == pytest.approx([20 * math.sin(math.radians(10)), -20 * math.sin(math.radians(5))])


@pytest.mark.parametrize("seed", range(30))
def test_a_heart_has_the_scores_that_it_was_made_with(seed: int) -> None:
    """On its outline: the long axis reaches the apex, the short one both borders, the atrium is on one."""
    heart = sample_heart(np.random.default_rng(seed), (3.0, 5.0))
    top, bottom, right, left, atrium = heart.landmarks()
    assert 7.5 <= math.dist(top, bottom) + math.dist(right, left) <= 14.0
    assert 1.2 <= math.dist(top, atrium) <= 4.0
    assert (bottom - top) @ (left - right) == pytest.approx(0, abs=1e-9)
    for point, side in ((right, "cranial"), (left, "caudal"), (atrium, "caudal"), (bottom, "caudal")):
        border = heart.border(side, 400)
        assert np.hypot(*(border - point).T).min() < 0.05
    width = heart.border("caudal", 400) @ (left - right) / math.dist(left, right)
    below = heart.border("caudal", 400) @ (bottom - top) > ((left - top) @ (bottom - top)) + top @ (bottom - top)
    assert width[below].max() <= left @ (left - right) / math.dist(left, right) + 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_t4_to_t9_are_six_units(seed: int) -> None:
    spine = sample_spine(np.random.default_rng(seed))
    assert math.dist(spine.cranial[T4], spine.caudal[T9]) == pytest.approx(6.0)


@pytest.mark.parametrize("seed", range(6))
def test_every_thorax_is_one_that_can_be_scored(seed: int) -> None:
    thorax = sample_thorax(np.random.default_rng(seed))
    height, width = thorax.attenuation.shape
    score = score_landmarks(thorax.landmarks, (width, height))
    assert score.vhs is not None
    assert 7.4 <= score.vhs <= 14.1
    assert score.vlas is not None
    assert score.axes_perpendicular
    assert (thorax.attenuation >= 0).all()


def test_the_same_seed_is_the_same_dog() -> None:
    first, second = lateral_thorax(3), lateral_thorax(3)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], lateral_thorax(4)[0])
