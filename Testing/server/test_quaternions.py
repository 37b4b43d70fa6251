"""Rotations as quaternions, with SciPy as an independent witness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from imeasure_server.imaging.quaternions import quaternion_of, rotation_of

HALF_TURNS = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0.6, 0.8, 0, 0], [0, 0, 0, 1], [0.6, 0, 0.8, 1e-9]]


@pytest.mark.parametrize("quaternion", [*HALF_TURNS, *np.random.default_rng(5).normal(size=(50, 4)).tolist()])
def test_like_scipy(quaternion: list[float]) -> None:
    expected = Rotation.from_quat(quaternion)
    matrix = rotation_of(np.array(quaternion))
    assert matrix == pytest.approx(expected.as_matrix(), abs=1e-12)
    found = quaternion_of(matrix)
    assert found[3] >= 0
    assert np.linalg.norm(found) == pytest.approx(1)
    assert rotation_of(found) == pytest.approx(matrix, abs=1e-12)
