"""DICOM segmentations (PS3.3 A.51): masks that a PACS stores beside the images that they were drawn on."""

# mypy: disable-error-code="no-untyped-call"
# (pydicom leaves many functions untyped.)

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import imeasure_server
from imeasure_server.imaging.dicom_file import NONSENSE, DicomFile, FileOnDisk
from imeasure_server.imaging.dicom_frames import frames_of
from imeasure_server.imaging.dicom_grid import Stack, parallel_stacks, stack_up
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import LabelArray, as_labels
from imeasure_server.imaging.segment_codes import meaning_of
from imeasure_server.imaging.stored_image import StoredImage

_SERIES_NUMBER = 300
_MANY_LABELS = 1000

_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator",
)  # fmt: skip
"""Elements that a segmentation repeats; de-identified images lack some of them."""

_COLOURS = ((128, 174, 128), (241, 214, 145), (177, 122, 101), (111, 184, 210), (216, 101, 79), (221, 130, 101))


def encode_dicom_seg(mask: npt.NDArray[Any], label_names: Mapping[str, int], image: StoredImage) -> bytes:
    """A mask as the content of a DICOM segmentation: one binary segment for each label.

    Args:
        mask: (x, y, z) label values, on the grid of ``image``.
        label_names: name to value; a value in the mask without a name is called "Label 3". Names whose value is not in
            the mask make no segment, unless the mask is empty: then every named label is an empty segment.
        image: from DICOM.

    Returns:
        A file that references the images it was made on, in their study and frame of reference.

    Raises:
        ImageError: the image was no DICOM, nothing names what could be in the mask, or the headers lack what a
            segmentation needs.
        ValueError: the mask's shape is not the image's.
        FileNotFoundError: the image was cleaned up.
    """
    if image.headers is None:
        raise ImageError("A DICOM segmentation can be made of DICOM images only: ask for NIfTI or NRRD instead.")
    if mask.shape != image.volume.shape:
        raise ValueError(f"The mask's shape {mask.shape} is not the image's {image.volume.shape}.")
    labels = as_labels(mask)
    named = _named_values(labels, label_names)
    stack = _stack(image.headers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values in the sources that are none of this file's making
            segmentation = _segmentation(_consecutive(labels, [value for value, _ in named]), named, stack, image)
            buffer = io.BytesIO()
            segmentation.save_as(buffer, enforce_file_format=True)
    except NONSENSE as error:
        raise ImageError(
            "The DICOM headers of the image lack what a DICOM segmentation needs: ask for NIfTI or NRRD instead."
        ) from error
    return buffer.getvalue()


def _named_values(labels: LabelArray, label_names: Mapping[str, int]) -> list[tuple[int, str]]:
    """Values that become segments, ascending, and what they are called."""
    names = {int(value): name for name, value in label_names.items() if int(value) > 0}
    present = [int(value) for value in np.flatnonzero(np.bincount(labels.ravel(order="K"))) if value]
    values = present or sorted(names)
    if not values:
        raise ImageError("The mask is empty and nothing says what could be in it: no DICOM segmentation was made.")
    if len(values) > _MANY_LABELS:
        raise ImageError(f"The mask has {len(values)} labels; at most {_MANY_LABELS} segments are written.")
    return [(value, names.get(value) or f"Label {value}") for value in values]


def _consecutive(labels: LabelArray, values: Sequence[int]) -> LabelArray:
    """Segments are numbered from 1 without gaps."""
    table = np.zeros(max(*values, int(labels.max(initial=0)), 1) + 1, np.uint16 if len(values) > 255 else np.uint8)
    table[list(values)] = np.arange(1, len(values) + 1)
    return np.asarray(table[labels])


def _stack(headers: Path) -> Stack:
    """The frames of the image, in the order of its slices."""
    frames = []
    for path in sorted(headers.iterdir()):
        dataset = pydicom.dcmread(path, force=True)
        syntax = dataset.file_meta.get("TransferSyntaxUID", ExplicitVRLittleEndian)
        frames += frames_of(DicomFile(FileOnDisk(path, path.name), dataset, syntax, None, 0x0010))
    return stack_up(max(parallel_stacks(frames), key=len))


def _segmentation(
    labels: LabelArray, named: Sequence[tuple[int, str]], stack: Stack, image: StoredImage
) -> hd.seg.Segmentation:
    sources = list(dict.fromkeys(frame.file for frame in stack.frames))
    datasets = [_completed(file.dataset) for file in sources]
    planes = np.ascontiguousarray(labels.T)
    if len(sources) == 1 and sources[0].frames > 1:  # in the order of its frames
        ordered = np.zeros((sources[0].frames, *planes.shape[1:]), planes.dtype)
        ordered[[frame.index for frame in stack.frames]] = planes
        planes = ordered
    x, y, z = image.volume.open().geometry.spacing
    return hd.seg.Segmentation(
        source_images=datasets,
        pixel_array=planes,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(number, name) for number, (_, name) in enumerate(named, 1)],
        series_instance_uid=generate_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="IMeasure",
        manufacturer_model_name="IMeasure server",
        software_versions=imeasure_server.__version__,
        device_serial_number="0",
        content_label="SEGMENTATION",
        content_description="Made by a model; not checked by a person",
        series_description="Segmentation",
        pixel_measures=hd.PixelMeasuresSequence((float(y), float(x)), float(z), float(z)),
    )


def _completed(dataset: pydicom.Dataset) -> pydicom.Dataset:
    """With the elements that a segmentation repeats, in UTF-8 whatever the scanner wrote them in."""
    dataset.decode()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _MAY_BE_EMPTY:
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    return dataset


def _description(number: int, name: str) -> hd.seg.SegmentDescription:
    meaning = meaning_of(name)
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=" ".join(name.split())[:64],
        segmented_property_category=meaning.category,
        segmented_property_type=meaning.type,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="IMeasure server", family=codes.cid7162.ArtificialIntelligence, version=imeasure_server.__version__
        ),
        tracking_uid=generate_uid(),
        tracking_id=" ".join(name.split())[:64],
        display_color=hd.color.CIELabColor.from_rgb(*_COLOURS[(number - 1) % len(_COLOURS)]),
    )
    if meaning.side is not None:
        side = hd.sr.CodedConcept.from_code(meaning.side)
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return description
