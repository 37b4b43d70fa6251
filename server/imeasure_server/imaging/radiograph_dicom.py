"""Radiographs as DICOM: one frame, as a person would see it at a workstation, with square pixels."""

# mypy: disable-error-code="no-untyped-call"
# (pydicom and SimpleITK leave most functions untyped.)

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

from imeasure_server.imaging.picture_header import PictureError, UnsupportedPicture, check_size
from imeasure_server.imaging.pictures import Picture

Values: TypeAlias = NDArray[Any]
Spacing: TypeAlias = tuple[float, float]

SQUARE_WITHIN = 1e-3
MOST_UNEQUAL_SIDES = 10.0
"""Pixels more elongated than this are a wrong entry, not a detector."""

LEFT_OUT = 0.2
"""Percent of the darkest and of the brightest values that may saturate."""

_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
)
"""What pydicom raises for damaged or incomplete data sets, depending on what is missing."""


def read_radiograph_dicom(path: str | Path) -> tuple[Picture, Spacing | None]:
    """Read the first frame of a DICOM file.

    Modality and VOI look-up tables and windows are applied, MONOCHROME1 is inverted (bone is bright), the range is
    stretched to 8 bits, and pixels that are not square are made so by interpolating along their longer side.

    Args:
        path: of the file; its name does not matter.

    Returns:
        (height, width) grey, or RGB for colour images; and the pixel's (height, width) in mm when the file gives it
        (pixel spacing, which may be calibrated, before the detector's), else None.

    Raises:
        FileNotFoundError: there is no such file.
        UnsupportedPicture: no DICOM file, without an image, or compressed in a way that nothing here decodes.
        PictureTooLarge: more than `picture_header.MAX_PIXELS`; nothing has been decoded.
        PictureError: damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path.name}.")
    try:
        dataset = pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise UnsupportedPicture(f"{path.name} is not a DICOM file.") from error
    except _UNREADABLE as error:
        raise _damaged(path) from error
    rows, columns = (int(dataset.get(name) or 0) for name in ("Rows", "Columns"))
    if "PixelData" not in dataset or rows <= 0 or columns <= 0:
        raise UnsupportedPicture(f"{path.name} holds no image.")
    check_size(columns, rows)
    try:
        picture = _as_seen(dataset, path)
        spacing, ratio = _spacing(dataset), _side_ratio(dataset)
    except PictureError:
        raise
    except _UNREADABLE as error:
        raise _damaged(path) from error
    return _with_square_pixels(picture, spacing, ratio)


def _damaged(path: Path) -> PictureError:
    return PictureError(f"{path.name} is damaged or incomplete: export it again.")


def _as_seen(dataset: pydicom.Dataset, path: Path) -> Picture:
    kind = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if kind == "PALETTE COLOR":
        return _stretched(apply_color_lut(_stored(dataset, path), dataset))
    if not kind.startswith("MONOCHROME"):
        return _stretched(_stored(dataset, path))
    values = _modality_values(dataset, path)
    padding = _padding(values, dataset)
    picture = _stretched(_through_window(values, dataset), padding)
    if kind == "MONOCHROME1":
        picture = np.subtract(255, picture, dtype=np.uint8)
    if padding is not None:
        picture[padding] = 0
    return picture


def _stored(dataset: pydicom.Dataset, path: Path) -> Values:
    """The first frame as stored; colour as RGB."""
    try:
        return np.asarray(pixel_array(dataset, index=0))
    except (NotImplementedError, RuntimeError) as error:
        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_compressed:
            raise
        raise UnsupportedPicture(
            f"{path.name} is compressed as {syntax.name}, and is damaged or cannot be decoded here: "
            "export it uncompressed."
        ) from error


def _modality_values(dataset: pydicom.Dataset, path: Path) -> Values:
    """The first frame after the modality look-up table, by GDCM where pydicom cannot decode it (lossless JPEG)."""
    try:
        return np.asarray(apply_modality_lut(_stored(dataset, path), dataset))
    except UnsupportedPicture:
        values = _decoded_by_gdcm(path)
        if values is None:
            raise
        return values


def _decoded_by_gdcm(path: Path) -> Values | None:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        array = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:
        return None
    return np.asarray(array[0] if array.ndim == 3 else array)


def _through_window(values: Values, dataset: pydicom.Dataset) -> Values:
    """After the VOI look-up table or window; without it when it shows nothing of the image."""
    if "VOILUTSequence" not in dataset and "WindowWidth" not in dataset:
        return values
    try:
        seen = np.asarray(apply_voi_lut(values, dataset, index=0), np.float32)
    except _UNREADABLE:  # an entry that makes no sense, as a window of width 0
        return values
    low, high = np.percentile(seen, [LEFT_OUT, 100 - LEFT_OUT])
    return seen if high > low else values


def _padding(values: Values, dataset: pydicom.Dataset) -> NDArray[np.bool_] | None:
    """Where the file says that there is no image; None when it does not, or when it says so of all of it."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    padded = values == apply_modality_lut(np.array([value]), dataset)[0]
    return padded if padded.any() and not padded.all() else None


def _stretched(values: Values, ignored: NDArray[np.bool_] | None = None) -> Picture:
    """To 8 bits; values from a full 8-bit range stay what they are."""
    if values.dtype == np.uint8:
        return values.astype(np.uint8)
    values = np.asarray(values, np.float32)
    counted = values if ignored is None else values[~ignored]
    low, high = np.percentile(counted, [LEFT_OUT, 100 - LEFT_OUT])
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    share: NDArray[np.float32] = np.clip((values - low) / (high - low), 0, 1)
    return np.rint(share * 255).astype(np.uint8)


def _pair(dataset: pydicom.Dataset, name: str) -> Spacing | None:
    """Two positive numbers, the vertical one first, or None."""
    try:
        vertical, horizontal = (float(value) for value in dataset.get(name) or ())
    except (TypeError, ValueError):
        return None
    if not (vertical > 0 and horizontal > 0 and np.isfinite([vertical, horizontal]).all()):
        return None
    return (vertical, horizontal)


def _spacing(dataset: pydicom.Dataset) -> Spacing | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        pair = _pair(dataset, name)
        if pair is not None:
            return pair
    return None


def _side_ratio(dataset: pydicom.Dataset) -> float:
    """Height of a pixel over its width; 1 when the file does not say, or says what cannot be."""
    vertical, horizontal = _spacing(dataset) or _pair(dataset, "PixelAspectRatio") or (1.0, 1.0)
    ratio = vertical / horizontal
    return ratio if 1 / MOST_UNEQUAL_SIDES <= ratio <= MOST_UNEQUAL_SIDES else 1.0


def _with_square_pixels(picture: Picture, spacing: Spacing | None, ratio: float) -> tuple[Picture, Spacing | None]:
    if abs(ratio - 1) <= SQUARE_WITHIN:
        return np.ascontiguousarray(picture), spacing
    height, width = picture.shape[:2]
    size = (width, round(height * ratio)) if ratio > 1 else (round(width / ratio), height)
    check_size(*size)
    side = None if spacing is None else min(spacing)
    resampled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return resampled, None if side is None else (side, side)
