"""A server that answers with known masks, and the volume that they belong to."""

from __future__ import annotations

import numpy as np
import vtk

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.findings import Cross, MeasuredLine, Measurements
from IMeasureLib.imeasure_client import SegmentationAnswer
from IMeasureLib.volume_access import localToWorld, readMask


def ball(shape, center, radius):
    """(k, j, i) bool; center and radius in voxels."""
    k, j, i = np.indices(shape)
    return (i - center[0]) ** 2 + (j - center[1]) ** 2 + (k - center[2]) ** 2 <= radius**2


class KnownAnswer:
    """Stands for the server: answers each request with the next of some masks, measured by the server's own code."""

    def __init__(self, *masks):
        self.masks = list(masks)
        self.asked = []

    def segment(self, voxels, geometry, history, previousMask=None, findingId=None, cancel=None, progress=None):
        self.asked.append((history, previousMask, findingId))
        mask = self.masks.pop(0)
        if isinstance(mask, Exception):
            raise mask
        return SegmentationAnswer(MaskRegion.of(mask), measured(mask, geometry), 0.1)


def measured(mask, geometry):
    from imeasure_server.imaging.volume import LPS_TO_RAS, Geometry
    from imeasure_server.measurement import measure

    result = measure(mask.transpose(2, 1, 0), Geometry(LPS_TO_RAS @ geometry.matrix, geometry.shape))

    def line(segment):
        ends = [tuple(np.asarray(end) * (-1, -1, 1)) for end in (segment.start, segment.end)]
        return MeasuredLine(ends[0], ends[1], segment.length)

    crosses = {k: Cross(line(cross.long), line(cross.short)) for k, cross in result.cross.items()}
    return Measurements(crosses, line(result.diameter), line(result.height), result.volume, result.volume_mm3)


SHAPE = (20, 40, 50)
FIRST = ball(SHAPE, (20, 20, 10), 7)
SECOND = ball(SHAPE, (28, 20, 10), 6)
GROWN = ball(SHAPE, (20, 20, 10), 8)


def at(volumeNode, i, j, k):
    """World RAS of a voxel's centre."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return localToWorld(volumeNode, [matrix.MultiplyPoint((i, j, k, 1))[:3]])[0]


def maskOf(segmentationNode, segmentId, volumeNode):
    return readMask(segmentationNode, segmentId, volumeNode).full(SHAPE[::-1])


def localPosition(volumeNode, ijk):
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return tuple(matrix.MultiplyPoint((*ijk, 1))[:3])


def linearTransform(scene, matrix):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform = vtk.vtkMatrix4x4()
    transform.DeepCopy(np.asarray(matrix, dtype=float).ravel().tolist())
    node.SetMatrixTransformToParent(transform)
    return node


def shearTransform(scene):
    return linearTransform(scene, [[1, 0.4, 0, 10], [0, 1.2, 0.3, -20], [0, 0, 1, 5], [0, 0, 0, 1]])


def bendingTransform(scene):
    """A thin-plate spline that moves the middle by some millimetres."""
    sources, targets = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.indices((2, 2, 2)).reshape(3, -1).T * 200.0 - 100.0:
        sources.InsertNextPoint(*corner)
        targets.InsertNextPoint(*corner)
    sources.InsertNextPoint(10.0, -20.0, 60.0)
    targets.InsertNextPoint(16.0, -14.0, 57.0)
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(sources)
    spline.SetTargetLandmarks(targets)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(spline)
    return node
