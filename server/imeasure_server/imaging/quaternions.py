"""Rotations as unit quaternions, as NIfTI headers have them."""

from __future__ import annotations

import numpy as np

from imeasure_server.imaging.volume import FloatArray


def quaternion_of(rotation: FloatArray) -> FloatArray:
    """(x, y, z, w) of a 3x3 rotation matrix, w not negative."""
    squares = np.array(  # 4 times the products of the four components with each other
        [
            [1 + rotation[0, 0] - rotation[1, 1] - rotation[2, 2], 0, 0, 0],
            [rotation[0, 1] + rotation[1, 0], 1 - rotation[0, 0] + rotation[1, 1] - rotation[2, 2], 0, 0],
            [rotation[0, 2] + rotation[2, 0], rotation[1, 2] + rotation[2, 1], 0, 0],
            [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1], 0],
        ]
    )
    squares[2, 2] = 1 - rotation[0, 0] - rotation[1, 1] + rotation[2, 2]
    squares[3, 3] = 1 + rotation[0, 0] + rotation[1, 1] + rotation[2, 2]
    squares += np.tril(squares, -1).T
    largest = int(np.argmax(np.diag(squares)))  # dividing by it loses nothing
    found = squares[largest] / np.linalg.norm(squares[largest])
    return np.asarray(found if found[3] >= 0 else -found)


def rotation_of(quaternion: FloatArray) -> FloatArray:
    """The 3x3 rotation matrix of (x, y, z, w), which need not have unit length."""
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
