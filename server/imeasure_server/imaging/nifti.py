"""NIfTI files: RAS on the wire, our LPS grids inside."""

# mypy: disable-error-code="no-untyped-call"
# (SimpleITK's stubs leave most methods untyped.)

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import FloatArray, Geometry, Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

SUFFIXES = (".nii", ".nii.gz")

ORTHOGONAL = 1e-3
"""Cosines of the angles between axes up to this count as right angles: NIfTI stores single precision."""

SHEARED = "The axes of the image are not perpendicular to each other (a sheared grid). Resample it to a regular grid."


class NiftiError(ValueError):
    """A file that cannot be read or written as NIfTI; the message is a sentence for the person whose file it is."""


def read_nifti(path: str | Path) -> Volume:
    """Read a 3D scalar image.

    Args:
        path: a .nii or .nii.gz file, of any orientation and voxel type; ``scl_slope`` and ``scl_inter`` are applied.

    Returns:
        The image with its voxel→LPS affine; the array has the file's type, float32 where values are scaled.

    Raises:
        FileNotFoundError: there is no such file.
        NiftiError: not a NIfTI file, damaged, not one 3D scalar image, or on a sheared grid.
    """
    path = _checked(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path.name}.")
    damaged = f"{path.name} is not a NIfTI file, or is damaged."
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _read(_unpacked(path, Path(folder)))
    except RuntimeError as error:
        raise NiftiError(SHEARED if "orthonormal" in str(error) else damaged) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise NiftiError(damaged) from error


def _unpacked(path: Path, folder: Path) -> Path:
    """The file itself, or its content in ``folder``.

    ITK's NIfTI library reads the voxels of ``a.nii.gz`` from ``a.nii`` when that lies beside it, and does not notice
    when compressed data end early; gzip checks both length and checksum.
    """
    if not path.name.lower().endswith(".gz"):
        return path
    plain = folder / "image.nii"
    with gzip.open(path) as packed, plain.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    return plain


def _read(path: Path) -> Volume:
    import SimpleITK as sitk  # 30 MiB that most files do not need: see `plain_nifti`

    reader = sitk.ImageFileReader()
    reader.SetImageIO("NiftiImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    _check_kind(reader)
    header = {key: float(reader.GetMetaData(key)) for key in ("vox_offset", "bitpix", "scl_slope", "scl_inter")}
    if path.stat().st_size < header["vox_offset"] + math.prod(reader.GetSize()) * header["bitpix"] / 8:
        raise EOFError
    if _is_sheared(_sform(reader)):
        raise NiftiError(SHEARED)
    image = reader.Execute()
    array = sitk.GetArrayFromImage(image).T
    if header["scl_slope"] == 0 and header["scl_inter"] != 0:  # the values are not scaled; ITK adds the intercept
        array = array - np.float32(header["scl_inter"])
    geometry = Geometry.from_axes(
        image.GetOrigin(), image.GetSpacing(), np.reshape(image.GetDirection(), (3, 3)), image.GetSize()
    )
    return Volume(array, geometry)


def write_nifti(path: str | Path, array: npt.NDArray[Any], geometry: Geometry) -> None:
    """Write a 3D image; masks (bool) become uint8 0 and 1.

    Args:
        path: ends in .nii or .nii.gz (compressed).
        array: (x, y, z) bool, integer or floating-point.
        geometry: of the array; not sheared.

    Raises:
        NiftiError: another suffix, or the grid is sheared.
        ValueError: the array's shape is not the geometry's.
        OSError: the file cannot be written.
    """
    import SimpleITK as sitk

    path = _checked(path)
    if array.shape != geometry.shape:
        raise ValueError(f"The array's shape {array.shape} is not the geometry's {geometry.shape}.")
    if _is_sheared(geometry.affine):
        raise NiftiError(SHEARED)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetOrigin(geometry.origin.tolist())
    image.SetSpacing(geometry.spacing.tolist())
    image.SetDirection(geometry.directions.reshape(-1).tolist())
    try:
        sitk.WriteImage(image, str(path), imageIO="NiftiImageIO")
    except RuntimeError as error:
        raise OSError(f"{path.name} cannot be written; is there such a folder, and space in it?") from error


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise NiftiError(f"The name of a NIfTI file ends in .nii or .nii.gz, not {path.suffix or 'without either'}.")
    return path


def _check_kind(reader: sitk.ImageFileReader) -> None:
    """Raise NiftiError unless the file holds one 3D scalar image."""
    import SimpleITK as sitk

    if reader.GetNumberOfComponents() != 1 or "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise NiftiError("The file holds a colour, vector or complex image; an image with one value a voxel is needed.")
    if reader.GetDimension() > 3:
        raise NiftiError(
            f"The file holds a series of {math.prod(reader.GetSize()[3:])} images; a single 3D image is needed."
        )
    if reader.GetDimension() < 3:
        raise NiftiError("The file holds a 2D image; a 3D image is needed.")


def _sform(reader: sitk.ImageFileReader) -> FloatArray:
    """The file's own affine to RAS, which ITK ignores for the quaternion where it cannot express it."""
    if int(reader.GetMetaData("sform_code")) == 0:
        return np.eye(4)
    rows = [[float(value) for value in reader.GetMetaData(f"srow_{axis}").split()] for axis in "xyz"]
    return np.array([*rows, [0.0, 0.0, 0.0, 1.0]])


def _is_sheared(affine: FloatArray) -> bool:
    linear = affine[:3, :3]
    length = np.linalg.norm(linear, axis=0)
    if not length.all():
        return False
    cosines = (linear / length).T @ (linear / length) - np.eye(3)
    return bool(np.abs(cosines).max() > ORTHOGONAL)
