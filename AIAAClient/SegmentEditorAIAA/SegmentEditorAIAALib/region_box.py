"""A box that a person places around the object: what is outside of it stays background."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer
import vtk

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.volume_access import geometryOf

MARGIN = 0.1
"""Of the scribbles' extent, on every side of them; along the others at least nearly as much as along the longest."""

VoxelBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


class RegionBox:
    """A markups box along the volume's axes, below the volume's transform. It is not saved with the scene."""

    def __init__(self) -> None:
        self._node: Any = None

    @property
    def node(self) -> Any:
        """The vtkMRMLMarkupsROINode; None when there is none."""
        return self._node if self._node is not None and self._node.GetScene() is not None else None

    def place(self, regions: Iterable[MaskRegion], volumeNode: Any) -> None:
        """Put it around some voxels of a volume, or around the middle half of the volume."""
        self.remove()
        geometry = geometryOf(volumeNode)
        shape = np.asarray(geometry.shape, dtype=float)
        filled = [region for region in regions if not region.isEmpty]
        if filled:
            lower = np.min([region.origin for region in filled], axis=0).astype(float)
            upper = np.max([np.add(region.origin, region.size) for region in filled], axis=0).astype(float)
            extent = (upper - lower) * geometry.spacing
            # Scribbles on one slice say nothing of the object's height: as much as its width.
            half = (0.5 + MARGIN) * np.maximum(extent, extent.max() * 0.8) / geometry.spacing
            middle = (lower + upper) / 2.0
            lower, upper = np.maximum(middle - half, 0.0), np.minimum(middle + half, shape)
        else:
            lower, upper = shape / 4.0, 3.0 * shape / 4.0
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "AIAA region")
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        node.GetDisplayNode().SetFillOpacity(0.05)
        node.GetDisplayNode().SetPropertiesLabelVisibility(False)
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        # Bounds of voxels, not of their centres: half a voxel lower.
        center = geometry.ijkToRAS((lower + upper) / 2.0 - 0.5)
        matrix = vtk.vtkMatrix4x4()
        for row in range(3):
            for column in range(3):
                matrix.SetElement(row, column, float(geometry.directions[row, column]))
            matrix.SetElement(row, 3, float(center[row]))
        node.SetSize(*((upper - lower) * geometry.spacing).tolist())
        node.SetAndObserveObjectToNodeMatrix(matrix)
        self._node = node

    def voxels(self, volumeNode: Any) -> VoxelBox | None:
        """((i, i), (j, j), (k, k)), first and last voxel inside; None when there is no box."""
        if self.node is None:
            return None
        geometry = geometryOf(volumeNode)
        half = np.asarray(self._node.GetSize()) / 2.0
        toNode = slicer.util.arrayFromVTKMatrix(self._node.GetObjectToNodeMatrix())
        corners = np.array([[x, y, z, 1.0] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        corners[:, :3] *= half
        ijk = geometry.rasToIJK((corners @ toNode.T)[:, :3])
        last = np.asarray(geometry.shape) - 1
        lower = np.clip(np.ceil(ijk.min(axis=0) - 1e-6), 0, last).astype(int)
        upper = np.clip(np.floor(ijk.max(axis=0) + 1e-6), 0, last).astype(int)
        (i0, j0, k0), (i1, j1, k1) = lower.tolist(), np.maximum(lower, upper).tolist()
        return (i0, i1), (j0, j1), (k0, k1)

    def remove(self) -> None:
        """Take it away."""
        if self.node is not None:
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = None
