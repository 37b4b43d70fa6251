"""The greatest distance within a set of points, exactly."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from imeasure_server.imaging.volume import FloatArray

HULL_PAYS_ABOVE = 160
"""Number of points from which on it is quicker to take the convex hull first."""

CHUNK = 2048
"""Points compared with all others at once: bounds the memory of the distance matrix."""


def farthest_pair(points: FloatArray) -> tuple[int, int]:
    """The two points that are farthest from each other; of equal pairs the one that comes first.

    Both ends of the greatest distance are vertices of the convex hull, so that only those are compared.

    Args:
        points: (n, d), n >= 1, d = 2 or 3.

    Returns:
        Two indices, the smaller first.
    """
    candidates = np.arange(len(points))
    if len(points) > HULL_PAYS_ABOVE:
        try:
            candidates = np.sort(ConvexHull(points).vertices)
        except QhullError:  # all points on one line or plane: the hull is flat, so compare them all
            candidates = np.arange(len(points))
    chosen = points[candidates]
    best, pair = -1.0, (0, 0)
    for start in range(0, len(chosen), CHUNK):
        distances = cdist(chosen[start : start + CHUNK], chosen, "sqeuclidean")
        at = int(distances.argmax())
        row, column = divmod(at, len(chosen))
        if distances[row, column] > best:
            best, pair = float(distances[row, column]), (start + row, column)
    first, second = sorted((int(candidates[pair[0]]), int(candidates[pair[1]])))
    return first, second
