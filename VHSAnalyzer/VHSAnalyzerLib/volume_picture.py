"""A volume node as a picture, and positions in the picture as positions in the scene. MRML, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import numpy.typing as npt
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .picture import Picture, PictureError, eightBit

SPACING_KNOWN_ATTRIBUTE = "VHSAnalyzer.SpacingKnown"
"""Set to "0" by this module's own loading of a picture file, which says nothing of millimetres."""

INVERTED_COLORS = ("InvertedGrey", "Inverted Grey")
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PictureGrid:
    """Where a picture lies in its volume's own space (local RAS, before the parent transform).

    Attributes:
        corner: local RAS of the outer corner of the first pixel.
        xStep, yStep: from one column, and one row, to the next, in mm.
        width, height: in pixels.
    """

    corner: Vector
    xStep: Vector
    yStep: Vector
    width: int
    height: int

    @property
    def spacing(self) -> tuple[float, float]:
        return float(np.linalg.norm(self.xStep)), float(np.linalg.norm(self.yStep))

    @property
    def sizeMM(self) -> tuple[float, float]:
        return self.width * self.spacing[0], self.height * self.spacing[1]

    def toRAS(self, fractions: npt.ArrayLike) -> Vector:
        """(N, 2) fractions of the picture → (N, 3) local RAS."""
        pixels = np.asarray(fractions, dtype=float) * (self.width, self.height)
        return np.asarray(self.corner + pixels @ np.stack([self.xStep, self.yStep]))

    def toFractions(self, ras: npt.ArrayLike) -> Vector:
        """(N, 3) local RAS → (N, 2) fractions of the picture, of the nearest point on its plane."""
        away = np.asarray(ras, dtype=float) - self.corner
        pixels = np.linalg.lstsq(np.stack([self.xStep, self.yStep], axis=1), away.T, rcond=None)[0].T
        return np.asarray(pixels / (self.width, self.height))


def gridOf(volumeNode: Any) -> PictureGrid:
    """Where the picture of a volume lies: columns along its faster axis, rows along the other.

    Raises:
        PictureError: there are no pixels, or more than one slice.
    """
    x, y = _axes(volumeNode)
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    ijkToRAS = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    xStep, yStep = ijkToRAS[:3, x], ijkToRAS[:3, y]
    dimensions = volumeNode.GetImageData().GetDimensions()
    corner = ijkToRAS[:3, 3] - (xStep + yStep) / 2.0
    return PictureGrid(corner, xStep, yStep, int(dimensions[x]), int(dimensions[y]))


def _axes(volumeNode: Any) -> tuple[int, int]:
    """Which of i, j and k are the picture's columns and rows."""
    image = volumeNode.GetImageData() if volumeNode is not None else None
    if image is None or min(image.GetDimensions()) < 1:
        raise PictureError("The volume has no image.")
    dimensions = image.GetDimensions()
    flat = [axis for axis in (2, 1, 0) if dimensions[axis] == 1]
    if not flat:
        raise PictureError(
            f"{volumeNode.GetName()} has {dimensions[2]} slices. A radiograph or a photo has one; this is a volume."
        )
    x, y = (axis for axis in (0, 1, 2) if axis != flat[0])
    if dimensions[x] < 2 or dimensions[y] < 2:
        raise PictureError(f"{volumeNode.GetName()} is only {dimensions[x]} × {dimensions[y]} pixels.")
    return x, y


def pictureOf(volumeNode: Any) -> Picture:
    """The pixels of a volume with one slice, as bytes, light where a radiograph is light.

    Raises:
        PictureError: it is no picture.
    """
    return capture(volumeNode)()


def capture(volumeNode: Any) -> Callable[[], Picture]:
    """Copy the values now, on the GUI thread; the function that is returned makes the picture of them, on any thread.

    Raises:
        PictureError: it is no picture; the function raises it when the values are none of a picture.
    """
    grid = gridOf(volumeNode)
    scalars = vtk_to_numpy(volumeNode.GetImageData().GetPointData().GetScalars())
    components = 1 if scalars.ndim == 1 else scalars.shape[1]
    # The axis that is left out has one voxel, so that the other two are in memory one after the other.
    values = scalars.reshape(grid.height, grid.width, components)
    if components >= 3:
        color = np.array(values[..., :3])
        return lambda: Picture(eightBit(color), grid.spacing)
    grey, inverted = np.array(values[..., 0]), isInverted(volumeNode)
    return lambda: Picture(eightBit(grey, inverted), grid.spacing)


def isInverted(volumeNode: Any) -> bool:
    """Whether a grey volume is shown with an inverted colour table, so that high values are dark.

    MONOCHROME1 needs nothing of the kind: ITK's reader, which is Slicer's, turns its values round.
    """
    display = volumeNode.GetDisplayNode()
    colors = display.GetColorNode() if display is not None and hasattr(display, "GetColorNode") else None
    if colors is None:
        return False
    return any(name in f"{colors.GetID()} {colors.GetName()}" for name in INVERTED_COLORS)


def isSpacingKnown(volumeNode: Any) -> bool:
    """Whether millimetres of this volume mean anything."""
    return bool(volumeNode.GetAttribute(SPACING_KNOWN_ATTRIBUTE) != "0")
