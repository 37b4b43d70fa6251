"""MRML volumes and segments as plain arrays, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util import numpy_support

from .crop_region import MaskRegion
from .geometry import FloatArray, VolumeGeometry

BINARY_LABELMAP = "Binary labelmap"


class VolumeError(ValueError):
    """A node that cannot be used; the message is a sentence for the person who asked."""


def geometryOf(volumeNode: Any) -> VolumeGeometry:
    """Where a volume's voxels lie in its own space.

    Raises:
        VolumeError: there is no volume or it has no voxels.
        GeometryError: its axes are not perpendicular.
    """
    if volumeNode is None:
        raise VolumeError("Choose the volume first.")
    image = volumeNode.GetImageData()
    if image is None or min(image.GetDimensions()) < 1:
        raise VolumeError(f"The volume {volumeNode.GetName()} has no voxels.")
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return VolumeGeometry(_array(matrix), image.GetDimensions())


def voxelsOf(volumeNode: Any) -> npt.NDArray[Any]:
    """(k, j, i) view of a scalar volume's voxels; not a copy. VolumeError for a colour or vector volume."""
    geometryOf(volumeNode)
    scalars = volumeNode.GetImageData().GetPointData().GetScalars()
    if scalars is None:
        raise VolumeError(f"The volume {volumeNode.GetName()} has no voxels.")
    if scalars.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"{volumeNode.GetName()} is a colour or vector volume. Choose one with a single value per voxel."
        )
    i, j, k = volumeNode.GetImageData().GetDimensions()
    array: npt.NDArray[Any] = numpy_support.vtk_to_numpy(scalars).reshape(k, j, i)
    return array


def worldToLocal(node: Any, points: npt.ArrayLike) -> FloatArray:
    """World RAS (n, 3) to a node's own space (n, 3), through any parent transform."""
    return _transformed(points, node.TransformPointFromWorld)


def localToWorld(node: Any, points: npt.ArrayLike) -> FloatArray:
    """A node's own space (n, 3) to world RAS (n, 3), through any parent transform."""
    return _transformed(points, node.TransformPointToWorld)


def _transformed(points: npt.ArrayLike, transform: Any) -> FloatArray:
    result = np.array(points, dtype=np.float64).reshape(-1, 3)
    for row in result:
        moved = [0.0, 0.0, 0.0]
        transform(row.tolist(), moved)
        row[:] = moved
    return result


def _array(matrix: Any) -> FloatArray:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _matrix(array: npt.ArrayLike) -> Any:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=np.float64).ravel().tolist())
    return matrix


def segmentationLogic() -> Any:
    """The class with Slicer's static segment functions, in the desktop application and in slicer-core."""
    found = getattr(slicer, "vtkSlicerSegmentationsModuleLogic", None)
    return found if found is not None else slicer.modules.segmentations.logic()


def orientedImage(region: MaskRegion, volumeNode: Any) -> Any:
    """A mask as ``vtkOrientedImageData`` (unsigned char, 0 and 1) in the volume's own space."""
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(_matrix(geometryOf(volumeNode).matrix))
    i, j, k = region.origin
    ni, nj, nk = region.size
    image.SetExtent(i, i + ni - 1, j, j + nj - 1, k, k + nk - 1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    if region.array.size:
        scalars = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
        scalars[:] = region.array.ravel()
    return image


def countVoxels(segmentationNode: Any, segmentId: str) -> int:
    """Number of voxels of a segment on its own grid, without copying them; 0 where it has no labelmap."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    image = segment.GetRepresentation(BINARY_LABELMAP) if segment is not None else None
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None:
        return 0
    return int(np.count_nonzero(numpy_support.vtk_to_numpy(scalars) == segment.GetLabelValue()))


def regionOf(image: Any) -> MaskRegion:
    """A labelmap's voxels that are not 0, as a tight mask in the labelmap's own grid."""
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    scalars = image.GetPointData().GetScalars()
    if scalars is None or i1 < i0 or j1 < j0 or k1 < k0:
        return MaskRegion(np.zeros((0, 0, 0), dtype=bool), (0, 0, 0))
    array = numpy_support.vtk_to_numpy(scalars).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    tight = MaskRegion.of(array)
    i, j, k = tight.origin
    return MaskRegion(tight.array.copy(), (i + i0, j + j0, k + k0))


def _isEmpty(image: Any) -> bool:
    """Whether a labelmap has no voxel that is not 0; much faster than to look where they are."""
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    scalars = image.GetPointData().GetScalars()
    if scalars is None or i1 < i0 or j1 < j0 or k1 < k0:
        return True
    return not numpy_support.vtk_to_numpy(scalars).any()


def segmentLabelmap(segmentationNode: Any, segmentId: str) -> Any:
    """A copy of one segment as ``vtkOrientedImageData`` in the segmentation's space; empty when it has no voxels."""
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSegment(segmentId) is None:
        raise VolumeError("The segment is no longer there.")
    image = slicer.vtkOrientedImageData()
    if not segmentation.ContainsRepresentation(BINARY_LABELMAP):
        segmentationNode.CreateBinaryLabelmapRepresentation()
    if segmentation.ContainsRepresentation(BINARY_LABELMAP):
        segmentationNode.GetBinaryLabelmapRepresentation(segmentId, image)
    return image


def readMask(segmentationNode: Any, segmentId: str, volumeNode: Any) -> MaskRegion:
    """One segment on the voxel grid of a volume, whatever geometry and parent transforms the two have."""
    image = segmentLabelmap(segmentationNode, segmentId)
    grid = orientedGrid(volumeNode)
    return regionOf(_resampled(image, grid, _transformBetween(segmentationNode, volumeNode)))


def writeMask(
    region: MaskRegion,
    volumeNode: Any,
    segmentationNode: Any,
    segmentId: str,
    overwrite: bool = False,
) -> None:
    """Replace one segment by a mask on a volume's grid, in the geometry that the segmentation has.

    Args:
        overwrite: take voxels from other segments. Otherwise they keep theirs, and the two overlap.

    Raises:
        VolumeError: nothing of the mask can be written, or Slicer could not. Nothing was changed then.
    """
    _useBinaryLabelmaps(segmentationNode)
    image = orientedImage(region, volumeNode)
    image = _resampled(image, _referenceGrid(segmentationNode), _transformBetween(volumeNode, segmentationNode))
    if _isEmpty(image):
        raise VolumeError("The result lies outside the segmentation's grid. Use a new segmentation for this volume.")
    others = [other for other in segmentationNode.GetSegmentation().GetSegmentIDs() if other != segmentId]
    writeLabelmap(image, segmentationNode, segmentId, others if overwrite else [])


def labelmapFor(region: MaskRegion, volumeNode: Any, segmentationNode: Any) -> Any:
    """A mask on a volume's grid as ``vtkOrientedImageData`` on the grid of a segmentation, in its own space."""
    image = orientedImage(region, volumeNode)
    return _resampled(image, _referenceGrid(segmentationNode), _transformBetween(volumeNode, segmentationNode))


def writeLabelmap(image: Any, segmentationNode: Any, segmentId: str, overwritten: Sequence[str] = ()) -> None:
    """Replace a segment's voxels by a labelmap in the segmentation's own space.

    Segments of ``overwritten`` lose what the labelmap covers; all others keep their voxels, on a layer of their own
    where they overlap.
    """
    if _isEmpty(image):
        segmentationNode.GetSegmentation().ClearSegment(segmentId)
        return
    logic = segmentationLogic()
    if not logic.SetBinaryLabelmapToSegment(
        image, segmentationNode, segmentId, logic.MODE_REPLACE, image.GetExtent(), False, list(overwritten)
    ):
        raise VolumeError("Slicer could not write the segment.")


def adoptGeometry(segmentationNode: Any, volumeNode: Any) -> None:
    """Give a segmentation without segments the grid and the parent transform of a volume; leave any other as it is."""
    if segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    elif not _referenceGeometry(segmentationNode):
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)


def orientedGrid(volumeNode: Any) -> Any:
    """The voxel grid of a volume as ``vtkOrientedImageData`` without voxels, in the volume's own space."""
    geometry = geometryOf(volumeNode)
    grid = slicer.vtkOrientedImageData()
    grid.SetGeometryFromImageToWorldMatrix(_matrix(geometry.matrix))
    i, j, k = geometry.shape
    grid.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    return grid


def _useBinaryLabelmaps(segmentationNode: Any) -> None:
    """Make labelmaps what the segmentation is made of, as the Segment Editor does before it edits."""
    if segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        return
    setter = getattr(segmentationNode, "SetSourceRepresentationToBinaryLabelmap", None)
    (setter or segmentationNode.SetMasterRepresentationToBinaryLabelmap)()


def _referenceGeometry(segmentationNode: Any) -> str:
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return str(segmentationNode.GetSegmentation().GetConversionParameter(name) or "")


def _referenceGrid(segmentationNode: Any) -> Any:
    """The grid on which a segmentation's labelmaps lie."""
    grid = slicer.vtkOrientedImageData()
    if not slicer.vtkSegmentationConverter.DeserializeImageGeometry(_referenceGeometry(segmentationNode), grid, False):
        raise VolumeError("The segmentation has no grid. Choose its source volume in the Segment Editor first.")
    return grid


def _transformBetween(source: Any, target: Any) -> Any:
    """vtkAbstractTransform from one node's own space to another's, or None when they are the same."""
    if source.GetTransformNodeID() == target.GetTransformNodeID():
        return None
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        source.GetParentTransformNode(), target.GetParentTransformNode(), transform
    )
    return transform


def _resampled(image: Any, grid: Any, transform: Any) -> Any:
    """A labelmap on another grid (nearest neighbour); the same object when it lies on that grid already."""
    resample = slicer.vtkOrientedImageDataResample
    if _isEmpty(image) or (transform is None and resample.DoGeometriesMatch(image, grid)):
        return image
    box = slicer.vtkOrientedImageData()
    box.DeepCopy(grid)
    box.SetExtent(_extentOn(grid, image, transform))
    result = slicer.vtkOrientedImageData()
    if not resample.ResampleOrientedImageToReferenceOrientedImage(image, box, result, False, False, transform):
        raise VolumeError("Slicer could not resample the segment.")
    return result


def _extentOn(grid: Any, image: Any, transform: Any) -> tuple[int, ...]:
    """The voxels of a grid that a transformed labelmap can reach: to resample a whole large volume takes seconds."""
    bounds = [0.0] * 6
    slicer.vtkOrientedImageDataResample.TransformOrientedImageDataBounds(
        image, transform if transform is not None else vtk.vtkTransform(), bounds
    )
    toGrid = vtk.vtkMatrix4x4()
    grid.GetWorldToImageMatrix(toGrid)
    corners = np.array([[x, y, z, 1.0] for x in bounds[0:2] for y in bounds[2:4] for z in bounds[4:6]])
    reached = corners @ _array(toGrid).T
    extent = []
    for axis, (first, last) in enumerate(zip(grid.GetExtent()[0::2], grid.GetExtent()[1::2])):
        lower = max(first, int(np.floor(reached[:, axis].min())) - 1)
        upper = min(last, int(np.ceil(reached[:, axis].max())) + 1)
        extent += [lower, upper] if lower <= upper else [first, first]
    return tuple(extent)
