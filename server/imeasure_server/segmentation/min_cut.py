"""The minimum cut of a grid: the labelling that agrees best with the log odds and has the cheapest boundary."""

from __future__ import annotations

from typing import Any

import maxflow
import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray

HARD = 1e4  # log odds that no boundary outweighs


def min_cut(
    log_odds: npt.NDArray[Any],
    image: npt.NDArray[Any],
    spacing: FloatArray,
    edge_scale: float,
    stiffness: float,
) -> BoolArray:
    """Solve the two-label Potts model of Boykov and Funka-Lea (IJCV 2006) on a 6-neighbourhood.

    Args:
        log_odds: (x, y, z) evidence for object per sample; ``±HARD`` fixes a sample.
        image: (x, y, z) intensities; a boundary is cheap where they change.
        spacing: (3,) mm between samples: a boundary costs what its area in mm² says.
        edge_scale: intensity difference that counts as an edge, > 0.
        stiffness: cost of a face between equal intensities, in log odds.

    Returns:
        (x, y, z) bool, the object.
    """
    graph = maxflow.GraphFloat(log_odds.size, 3 * log_odds.size)
    nodes = graph.add_grid_nodes(log_odds.shape)
    # A face's area, relative to the mean of the three kinds of faces.
    areas = spacing.prod() / spacing
    areas = areas / areas.mean()
    for axis in range(3):
        if log_odds.shape[axis] < 2:
            continue
        weights = np.zeros(log_odds.shape)
        ahead = [slice(None)] * 3
        ahead[axis] = slice(0, -1)
        # Distance normalised: a step across a thick slice may show a larger change than one in plane.
        change = np.diff(np.asarray(image, dtype=np.float64), axis=axis) / edge_scale
        weights[tuple(ahead)] = stiffness * areas[axis] * (0.06 + 0.94 * np.exp(-0.5 * change**2))
        structure = np.zeros((3, 3, 3))
        forward = [1, 1, 1]
        forward[axis] = 2
        structure[tuple(forward)] = 1
        graph.add_grid_edges(nodes, weights=weights, structure=structure, symmetric=True)
    evidence = np.asarray(log_odds, dtype=np.float64)
    graph.add_grid_tedges(nodes, np.maximum(evidence, 0.0), np.maximum(-evidence, 0.0))
    graph.maxflow()
    return np.asarray(~graph.get_grid_segments(nodes))
