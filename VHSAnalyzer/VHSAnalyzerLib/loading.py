"""Pictures from files into the scene with Slicer's own readers: PNG and JPEG, and DICOM through its DICOM module."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .exif import orientationOf, upright
from .picture import PictureError
from .picture_files import PICTURE_SUFFIXES, isDICOM
from .volume_picture import SPACING_KNOWN_ATTRIBUTE, gridOf

FILE_FILTER = "Radiographs (*.png *.jpg *.jpeg *.dcm *.dicom);;All files (*)"


def loadPicture(path: str | Path) -> Any:
    """Load a PNG, JPEG or DICOM file; returns its volume node.

    Raises:
        PictureError: it cannot be read as a picture; nothing stays in the scene.
    """
    path = Path(path)
    if not path.is_file():
        raise PictureError(f"There is no file {path}.")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return _loadPictureFile(path)
    if isDICOM(path):
        return _loadDICOM(path)
    raise PictureError(f"{path.name} is neither PNG, JPEG nor DICOM.")


def _loadPictureFile(path: Path) -> Any:
    try:
        node = slicer.util.loadVolume(str(path), {"name": path.stem, "singleFile": True, "show": False})
    except RuntimeError:
        node = None
    if node is None or node.GetImageData() is None:
        raise PictureError(f"{path.name} cannot be read as a picture.")
    orientation = orientationOf(path)
    if orientation != 1:
        turn(node, orientation)
    # A picture file says nothing of millimetres in the dog: its dots per inch are those of a printer.
    node.SetSpacing(1.0, 1.0, 1.0)
    node.SetOrigin(0.0, 0.0, 0.0)
    node.SetAttribute(SPACING_KNOWN_ATTRIBUTE, "0")
    return _checked(node)


def turn(node: Any, orientation: int) -> None:
    """Turn the pixels of a volume as the EXIF number says."""
    image = node.GetImageData()
    columns, rows, _ = image.GetDimensions()
    components = image.GetNumberOfScalarComponents()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, components)
    turned = upright(pixels, orientation)
    result = vtk.vtkImageData()
    result.SetDimensions(turned.shape[1], turned.shape[0], 1)
    scalars = numpy_to_vtk(np.ascontiguousarray(turned).reshape(-1, components), deep=True)
    result.GetPointData().SetScalars(scalars)
    node.SetAndObserveImageData(result)


def _loadDICOM(path: Path) -> Any:
    """By a database of its own for the moment: the person's own is not filled with what they only wanted to look at."""
    from DICOMLib import DICOMUtils

    before = set(_volumes())
    with tempfile.TemporaryDirectory(prefix="VHSAnalyzer-") as folder:
        source = Path(folder) / "file"
        source.mkdir()
        shutil.copyfile(path, source / "picture.dcm")
        with DICOMUtils.TemporaryDICOMDatabase(str(Path(folder) / "database")) as database:
            DICOMUtils.importDicom(str(source), database)
            for patient in database.patients():
                DICOMUtils.loadPatientByUID(patient)
    nodes = [node for node in _volumes() if node not in before]
    if not nodes:
        raise PictureError(f"{path.name} cannot be read as a DICOM image.")
    for surplus in nodes[1:]:
        slicer.mrmlScene.RemoveNode(surplus)
    return _checked(nodes[0])


def _volumes() -> list[Any]:
    return list(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))


def _checked(node: Any) -> Any:
    """The node when it is a picture; else it is taken away again."""
    try:
        gridOf(node)
    except PictureError:
        slicer.mrmlScene.RemoveNode(node)
        raise
    return node
