"""Writes a small DICOM radiograph, as a digital X-ray machine would."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def writeRadiograph(path: Path, pixels: np.ndarray, spacing: tuple[float, float], photometric: str) -> Path:
    """12-bit pixels (rows, columns); ``spacing`` in mm between rows and between columns, as PixelSpacing has it."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.PatientName, data.PatientID, data.Modality = "Rex", photometric, "DX"
    data.StudyDate, data.StudyID, data.SeriesNumber, data.InstanceNumber = "20260101", "1", 1, 1
    data.Rows, data.Columns = pixels.shape
    data.PixelSpacing = list(spacing)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, photometric
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = pixels.astype("<u2").tobytes()
    data.save_as(str(path), **({"enforce_file_format": True} if int(pydicom.__version__[0]) >= 3 else {}))
    return path
