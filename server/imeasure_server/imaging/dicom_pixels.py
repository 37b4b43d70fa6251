"""The stored values of the frames of a DICOM file: uncompressed ones as a view of its bytes, others decoded."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import SecondaryCaptureImageStorage

from imeasure_server.imaging.dicom_file import UNREADABLE, DicomFile
from imeasure_server.imaging.gdcm_process import GdcmProcess
from imeasure_server.imaging.image_error import ImageError, damaged

Values = NDArray[Any]

_LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue (ITU-R BT.601)."""


class PixelReader:
    """Reads the frames of one file.

    Attributes:
        content: all bytes of the file.
    """

    def __init__(self, file: DicomFile, gdcm: GdcmProcess) -> None:
        self.content = file.source.read()
        self._file = file
        self._gdcm = gdcm
        self._pixels = _native(file, self.content) if _is_native(file) else _whole(file, self.content)

    def frame(self, index: int) -> Values:
        """The stored values of a frame, (rows, columns), in the byte order of this machine; colour as its luminance.

        Raises:
            ImageError: damaged, or compressed in a way that nothing here decodes.
        """
        if isinstance(self._pixels, np.ndarray):
            values = self._pixels[index]
            values = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
        else:
            values = _decoded(self._pixels, self._file, index, self._gdcm)
        return _with_sign(values, self._file.dataset)


def _is_native(file: DicomFile) -> bool:
    dataset = file.dataset
    return (
        file.pixel_offset is not None
        and not file.syntax.is_compressed
        and int(dataset.get("SamplesPerPixel") or 1) == 1
        and dataset.get("PhotometricInterpretation") != "PALETTE COLOR"
    )


def _native(file: DicomFile, content: bytes) -> Values:
    """(frames, rows, columns), a view of the bytes."""
    assert file.pixel_offset is not None
    start = file.pixel_offset + (8 if file.syntax.is_implicit_VR else 12)
    shape = (file.frames, int(file.dataset.Rows), int(file.dataset.Columns))
    dtype = _stored_type(file)
    count = shape[0] * shape[1] * shape[2]
    if len(content) < start + count * dtype.itemsize:
        raise damaged(file.source.name)
    return np.frombuffer(content, dtype, count, start).reshape(shape)


def _stored_type(file: DicomFile) -> np.dtype[Any]:
    order = "<" if file.syntax.is_little_endian else ">"
    if file.pixel_element != 0x0010:
        return np.dtype(f"{order}f{4 if file.pixel_element == 0x0008 else 8}")
    bits = int(file.dataset.BitsAllocated)
    if bits not in (8, 16, 32):
        raise ImageError(f"{file.source.name} has pixels of {bits} bits; 8, 16 and 32 are read.")
    return np.dtype(f"{order}{'i' if file.dataset.get('PixelRepresentation') == 1 else 'u'}{bits // 8}")


def _whole(file: DicomFile, content: bytes) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(io.BytesIO(content), force=True)
    except UNREADABLE as error:
        raise damaged(file.source.name) from error


def _decoded(dataset: pydicom.Dataset, file: DicomFile, index: int, gdcm: GdcmProcess) -> Values:
    try:
        values = np.asarray(pixel_array(dataset, index=index))
        if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            values = np.asarray(apply_color_lut(values, dataset))
    except UNREADABLE as error:
        if not file.syntax.is_compressed:
            raise damaged(file.source.name) from error
        alone = _alone(dataset, file, index)  # lossless JPEG, which pydicom does not decode
        array = None if alone is None else gdcm.decode(alone)
        if array is None:
            raise ImageError(
                f"{file.source.name} is compressed as {file.syntax.name}, and is damaged or cannot be decoded here: "
                "export it uncompressed."
            ) from error
        values = array[0]
    if values.ndim == 3:
        values = np.rint(values[..., :3] @ _LUMINANCE).astype(values.dtype)
    if values.shape != (int(dataset.Rows), int(dataset.Columns)):
        raise damaged(file.source.name)
    return values


def _alone(dataset: pydicom.Dataset, file: DicomFile, index: int) -> bytes | None:
    """A compressed frame in a file of its own, without what changes its values; None when it is not to be found."""
    single = pydicom.Dataset()
    for keyword in (
        "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
        "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    ):  # fmt: skip
        if keyword in dataset:
            setattr(single, keyword, dataset[keyword].value)
    single.SOPClassUID, single.SOPInstanceUID, single.Modality = SecondaryCaptureImageStorage, "2.25.1", "OT"
    single.file_meta = FileMetaDataset()
    single.file_meta.TransferSyntaxUID = file.syntax
    buffer = io.BytesIO()
    try:
        frame = get_frame(dataset.PixelData, index, number_of_frames=file.frames)
        single.PixelData = encapsulate([frame])
        single["PixelData"].VR, single["PixelData"].is_undefined_length = "OB", True
        pydicom.dcmwrite(buffer, single, enforce_file_format=True)
    except UNREADABLE:
        return None
    return buffer.getvalue()


def _with_sign(values: Values, dataset: pydicom.Dataset) -> Values:
    """Without what unused high bits hold (retired overlays), and with the sign that they should repeat."""
    stored, allocated = int(dataset.get("BitsStored") or 0), 8 * values.dtype.itemsize
    if values.dtype.kind not in "iu" or not 0 < stored < allocated:
        return values
    half = 1 << (stored - 1)
    low, high = (-half, half - 1) if values.dtype.kind == "i" else (0, 2 * half - 1)
    if values.size == 0 or (values.min() >= low and values.max() <= high):
        return values
    shift = values.dtype.type(allocated - stored)
    return np.asarray((values << shift) >> shift)
