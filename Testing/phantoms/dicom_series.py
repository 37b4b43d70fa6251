"""A volume as DICOM: a series of slices, a zip of them, an enhanced multi-frame or a secondary capture.

Written with pydicom alone, so that the server's reader is tested against files that it did not make.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    generate_uid,
)

from imeasure_server.imaging.volume import Geometry, Volume

_BY_ITK = {JPEG2000Lossless: "JPEG2000", JPEGLosslessSV1: "JPEG"}
"""Transfer syntaxes that pydicom does not write by itself, as ITK calls them."""


@dataclass(frozen=True)
class SeriesOptions:
    """How a volume is written.

    Attributes:
        reverse_instances: InstanceNumber (or the order of frames) runs against the volume's third axis.
        transfer_syntax: of the files: uncompressed, deflated, RLE, JPEG-LS, JPEG 2000 or JPEG lossless.
            (GDCM's encoder of JPEG 2000 ends the process at slices of fewer than 16 rows.)
        slope, intercept: stored value × slope + intercept = value of the volume.
        signed: whether stored values are.
        bits: stored of each 16 allocated, or 8 of 8 allocated.
        photometric: MONOCHROME2, or MONOCHROME1 (values are stored as they are, whatever that means for looking).
        modality: CT or MR.
        series, study: seeds of the UIDs; the same seed gives the same UID.
        extra: more data elements of every file, by keyword.
    """

    reverse_instances: bool = False
    transfer_syntax: str = ExplicitVRLittleEndian
    slope: float = 1.0
    intercept: float = -1024.0
    signed: bool = False
    bits: int = 16
    photometric: str = "MONOCHROME2"
    modality: str = "CT"
    series: str = "series"
    study: str = "study"
    extra: Mapping[str, Any] | None = None


DEFAULT = SeriesOptions()


def as_read(volume: Volume) -> Volume:
    """The volume as a reader that sorts by position along row × column gives it.

    The third axis of a left-handed grid points against that normal: it is turned around.
    """
    affine = np.array(volume.geometry.affine)
    if np.linalg.det(affine[:3, :3]) > 0:
        return volume
    affine[:3, 3] = volume.geometry.to_world((0, 0, volume.array.shape[2] - 1))
    affine[:3, 2] *= -1
    return Volume(volume.array[:, :, ::-1], Geometry(affine, volume.geometry.shape))


def series_datasets(volume: Volume, options: SeriesOptions = DEFAULT) -> list[FileDataset]:
    """One data set a slice, in the order of the volume's third axis."""
    count = volume.array.shape[2]
    made = []
    for index in range(count):
        dataset = _dataset(options, MRImageStorage if options.modality == "MR" else CTImageStorage, f"slice{index}")
        dataset.InstanceNumber = count - index if options.reverse_instances else index + 1
        dataset.ImageOrientationPatient = _orientation(volume.geometry)
        dataset.ImagePositionPatient = _position(volume.geometry, index)
        dataset.PixelSpacing = _spacing(volume.geometry)
        dataset.SliceThickness = _decimal(volume.geometry.spacing[2])
        dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(options.slope), _decimal(options.intercept)
        _finish(dataset, _stored(volume.array[:, :, index : index + 1], options), options)
        made.append(dataset)
    return made


def multiframe_dataset(volume: Volume, options: SeriesOptions = DEFAULT) -> FileDataset:
    """An enhanced CT or MR image with functional groups, one frame a slice."""
    enhanced = EnhancedMRImageStorage if options.modality == "MR" else EnhancedCTImageStorage
    dataset = _dataset(options, enhanced, "multiframe")
    order = range(volume.array.shape[2])
    frames = list(reversed(order)) if options.reverse_instances else list(order)
    dataset.InstanceNumber = 1
    dataset.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=_orientation(volume.geometry))],
            PixelMeasuresSequence=[
                _item(
                    PixelSpacing=_spacing(volume.geometry),
                    SliceThickness=_decimal(volume.geometry.spacing[2]),
                    SpacingBetweenSlices=_decimal(volume.geometry.spacing[2]),
                )
            ],
            PixelValueTransformationSequence=[
                _item(
                    RescaleSlope=_decimal(options.slope),
                    RescaleIntercept=_decimal(options.intercept),
                    RescaleType="HU" if options.modality == "CT" else "US",
                )
            ],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[_item(ImagePositionPatient=_position(volume.geometry, index))],
            FrameContentSequence=[_item(StackID="1", InStackPositionNumber=number + 1)],
        )
        for number, index in enumerate(frames)
    ]
    _finish(dataset, _stored(volume.array[:, :, frames], options), options)
    return dataset


def secondary_capture_dataset(volume: Volume, options: SeriesOptions = DEFAULT) -> FileDataset:
    """A multi-frame secondary capture: frames without positions."""
    dataset = _dataset(options, MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "capture")
    dataset.Modality = "OT"
    dataset.InstanceNumber = 1
    dataset.PixelSpacing = _spacing(volume.geometry)
    dataset.SpacingBetweenSlices = _decimal(volume.geometry.spacing[2])
    dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(options.slope), _decimal(options.intercept)
    dataset.RescaleType = "US"
    dataset.FrameIncrementPointer = 0x00200013
    _finish(dataset, _stored(volume.array, options), options)
    return dataset


def dicom_bytes(dataset: FileDataset) -> bytes:
    """The data set as the content of a file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def zip_bytes(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of ``members``, name to content, in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def series_members(
    volume: Volume, options: SeriesOptions = DEFAULT, *, folder: str = "", shuffled: int | None = None
) -> dict[str, bytes]:
    """File name to content of each slice: ``IM0001.dcm`` … in ``folder``, in an order made of the seed ``shuffled``."""
    contents = [dicom_bytes(dataset) for dataset in series_datasets(volume, options)]
    order: Sequence[int] = range(len(contents))
    if shuffled is not None:
        order = [int(index) for index in np.random.default_rng(shuffled).permutation(len(contents))]
    prefix = f"{folder}/" if folder else ""
    return {f"{prefix}IM{number:04d}.dcm": contents[index] for number, index in enumerate(order, 1)}


def series_zip(
    volume: Volume,
    options: SeriesOptions = DEFAULT,
    *,
    folder: str = "",
    shuffled: int | None = None,
    extra: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """The content of a zip of the series, and of ``extra`` members that do not belong to it."""
    members = series_members(volume, options, folder=folder, shuffled=shuffled)
    return zip_bytes({**(extra or {}), **members}, compression)


def write_series(
    folder: Path, volume: Volume, options: SeriesOptions = DEFAULT, *, shuffled: int | None = None
) -> list[Path]:
    """Write the slices into ``folder`` (made when it is not there)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in series_members(volume, options, shuffled=shuffled).items():
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    return paths


def _dataset(options: SeriesOptions, sop_class: str, name: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[options.study, options.series, name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, preamble=b"\0" * 128, file_meta=meta)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[options.study])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[options.study, options.series])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[options.study, "frame of reference"])
    dataset.PatientName, dataset.PatientID = "Phantom^Pia", "PHANTOM-1"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = "20250102"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = "101112"
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "A1", ""
    dataset.Modality, dataset.SeriesNumber = options.modality, 2
    dataset.Manufacturer, dataset.PositionReferenceIndicator = "phantoms", ""
    dataset.StudyDescription, dataset.SeriesDescription = "Phantom", options.series
    for keyword, value in (options.extra or {}).items():
        setattr(dataset, keyword, value)
    return dataset


def _item(**elements: Any) -> pydicom.Dataset:
    item = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, DicomSequence(value) if keyword.endswith("Sequence") else value)
    return item


def _finish(dataset: FileDataset, stored: NDArray[Any], options: SeriesOptions) -> None:
    """Add (frames, rows, columns) stored values, encoded as the options say."""
    frames, dataset.Rows, dataset.Columns = stored.shape
    if frames > 1 or "PerFrameFunctionalGroupsSequence" in dataset or "FrameIncrementPointer" in dataset:
        dataset.NumberOfFrames = frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, options.photometric
    dataset.BitsAllocated = 8 if options.bits == 8 else 16
    dataset.BitsStored, dataset.HighBit = options.bits, options.bits - 1
    dataset.PixelRepresentation = int(options.signed)
    syntax = pydicom.uid.UID(options.transfer_syntax)
    content = stored.astype(stored.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB" if options.bits == 8 else "OW"
    if syntax in _BY_ITK:
        dataset.PixelData = encapsulate([_by_itk(frame, _BY_ITK[syntax]) for frame in stored])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    elif syntax in (RLELossless, JPEGLSLossless):
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == DeflatedExplicitVRLittleEndian:
        pass  # pydicom deflates when it writes
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian, "utf-8")


def _by_itk(frame: NDArray[Any], compressor: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/frame.dcm"
        sitk.WriteImage(sitk.GetImageFromArray(frame[None]), path, useCompression=True, compressor=compressor)
        return next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


def _stored(values: NDArray[Any], options: SeriesOptions) -> NDArray[Any]:
    """(x, y, frames) values as (frames, rows, columns) stored ones.

    Raises:
        ValueError: they do not fit into the bits.
    """
    stored = np.rint((values.astype(np.float64) - options.intercept) / options.slope)
    half = 1 << (options.bits - 1)
    low, high = (-half, half - 1) if options.signed else (0, 2 * half - 1)
    if stored.min() < low or stored.max() > high:
        raise ValueError(f"Stored values {stored.min()} to {stored.max()} do not fit into {options.bits} bits.")
    size = 8 if options.bits == 8 else 16
    return np.ascontiguousarray(stored.astype(f"{'int' if options.signed else 'uint'}{size}").T)


def _decimal(number: float) -> str:
    """A DICOM decimal string: 16 characters at most."""
    return str(pydicom.valuerep.format_number_as_ds(float(number)))


def _orientation(geometry: Geometry) -> list[str]:
    return [_decimal(value) for value in geometry.directions.T[:2].reshape(-1)]


def _position(geometry: Geometry, index: int) -> list[str]:
    return [_decimal(value) for value in geometry.to_world((0, 0, index))]


def _spacing(geometry: Geometry) -> list[str]:
    """Between rows (y) first."""
    return [_decimal(geometry.spacing[1]), _decimal(geometry.spacing[0])]
