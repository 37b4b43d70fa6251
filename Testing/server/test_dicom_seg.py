"""DICOM segmentations, read back by highdicom and, element by element, by pydicom."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless

from imeasure_server.imaging.dicom_seg import encode_dicom_seg
from imeasure_server.imaging.image_cache import ImageCache
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.segment_codes import meaning_of
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.imaging.volume import Volume
from phantoms import make_lesion_phantom
from phantoms.dicom_series import (
    SeriesOptions,
    dicom_bytes,
    multiframe_dataset,
    secondary_capture_dataset,
    series_datasets,
    series_zip,
    zip_bytes,
)
from phantoms.shapes import rotation_matrix

SHAPE = (20, 16, 9)
NAMES = {"liver": 3, "lung_left": 7, "absent": 9}
GRIDS = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "left-handed": np.diag([1.0, 1.0, -1.0]),
    "oblique": rotation_matrix(np.random.default_rng(3)),
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
}

Decode = Callable[[bytes], StoredImage]


@pytest.fixture
def decode(tmp_path: Path) -> Decode:
    cache = ImageCache(tmp_path / "images", 1 << 30)

    def decode_bytes(content: bytes) -> StoredImage:
        (tmp_path / "upload").write_bytes(content)
        return cache.decode(tmp_path / "upload", "upload", hashlib.sha256(content).hexdigest())

    return decode_bytes


def phantom(directions: Any = None) -> Volume:
    return make_lesion_phantom(2, SHAPE, (0.8, 0.9, 2.5), directions, diameter=8).volume


def some_mask(shape: tuple[int, int, int] = SHAPE) -> npt.NDArray[np.uint8]:
    mask = np.zeros(shape, np.uint8)
    mask[3:8, 5:14, 1:4] = 3
    mask[10:15, 2:6, 3:7] = 7
    return mask


def placed(segmentation: pydicom.Dataset, image: StoredImage) -> npt.NDArray[np.uint8]:
    """The mask of segment numbers, put where each frame's position says, on the grid of the image."""
    geometry = image.volume.open().geometry
    mask = np.zeros(geometry.shape, np.uint8)
    frames = (
        np.atleast_3d(segmentation.pixel_array) if segmentation.NumberOfFrames > 1 else segmentation.pixel_array[None]
    )
    orientation = segmentation.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    assert [float(value) for value in orientation] == pytest.approx(geometry.directions.T[:2].reshape(-1), abs=1e-6)
    for frame, group in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        position = [float(value) for value in group.PlanePositionSequence[0].ImagePositionPatient]
        index = geometry.to_voxel(position)
        assert index == pytest.approx([0, 0, round(index[2])], abs=1e-3)
        where = group if "SegmentIdentificationSequence" in group else segmentation.SharedFunctionalGroupsSequence[0]
        number = where.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        mask[:, :, round(index[2])][frame.T > 0] = number
    return mask


def sources(kind: str, volume: Volume, reverse: bool) -> bytes:
    options = SeriesOptions(reverse_instances=reverse)
    if kind == "series":
        return series_zip(volume, options, shuffled=5)
    return dicom_bytes(multiframe_dataset(volume, options))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["series", "multi-frame"])
def test_highdicom_and_pydicom_find_every_voxel_in_its_place(
    decode: Decode, grid: str, reverse: bool, kind: str
) -> None:
    image = decode(sources(kind, phantom(GRIDS[grid]), reverse))
    content = encode_dicom_seg(some_mask(), NAMES, image)

    segmentation = hd.seg.segread(io.BytesIO(content))
    volume = segmentation.get_volume(combine_segments=True)

    expected = np.where(some_mask() == 3, 1, np.where(some_mask() == 7, 2, 0))
    assert np.array_equal(placed(pydicom.dcmread(io.BytesIO(content)), image), expected)
    geometry = image.volume.open().geometry
    found = np.argwhere(volume.array)
    world = found @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    indices = np.rint(geometry.to_voxel(world)).astype(int)
    back = np.zeros(SHAPE, np.uint8)
    back[tuple(indices.T)] = volume.array[tuple(found.T)]
    assert np.array_equal(back, expected)
    assert geometry.to_world(indices) == pytest.approx(world, abs=1e-2)


@pytest.mark.parametrize("kind", ["series", "multi-frame"])
def test_the_segmentation_belongs_to_its_images(decode: Decode, kind: str) -> None:
    options = SeriesOptions()
    datasets = series_datasets(phantom(), options) if kind == "series" else [multiframe_dataset(phantom(), options)]
    image = decode(zip_bytes({f"{number}.dcm": dicom_bytes(dataset) for number, dataset in enumerate(datasets)}))

    written = pydicom.dcmread(io.BytesIO(encode_dicom_seg(some_mask(), NAMES, image)))

    first = datasets[0]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "AccessionNumber"):
        assert written[keyword].value == first[keyword].value
    assert written.SeriesInstanceUID != first.SeriesInstanceUID
    assert (written.Modality, written.SegmentationType, written.BitsAllocated) == ("SEG", "BINARY", 1)
    (referenced,) = written.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
    known = {dataset.SOPInstanceUID for dataset in datasets}
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == known
    for group in written.PerFrameFunctionalGroupsSequence:
        item = group.DerivationImageSequence[0].SourceImageSequence[0]
        position = group.PlanePositionSequence[0].ImagePositionPatient
        assert item.ReferencedSOPInstanceUID in known
        if kind == "series":
            (source,) = [one for one in datasets if one.SOPInstanceUID == item.ReferencedSOPInstanceUID]
            assert source.ImagePositionPatient == pytest.approx(position)
        else:
            frame = first.PerFrameFunctionalGroupsSequence[int(item.ReferencedFrameNumber) - 1]
            assert frame.PlanePositionSequence[0].ImagePositionPatient == pytest.approx(position)


def test_segments_are_coded_and_named(decode: Decode) -> None:
    written = pydicom.dcmread(
        io.BytesIO(encode_dicom_seg(some_mask(), {"lung_left": 7}, decode(series_zip(phantom()))))
    )

    unnamed, lung = written.SegmentSequence

    assert (unnamed.SegmentNumber, unnamed.SegmentLabel) == (1, "Label 3")
    assert unnamed.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    assert (lung.SegmentNumber, lung.SegmentLabel) == (2, "lung_left")
    (code,) = lung.SegmentedPropertyTypeCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("39607008", "SCT", "Lung")
    assert code.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert lung.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert lung.SegmentAlgorithmName == "IMeasure server"
    assert len(lung.RecommendedDisplayCIELabValue) == 3


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("kidney_right", "Kidney", "Right"),
        ("vertebrae_L5", "Vertebra", None),
        ("Lungs", "Lung", None),
        ("rib_left_7", "Rib", "Left"),
        ("adrenal gland left", "Adrenal gland", "Left"),
        ("fat", "Fat", None),
        ("tumour", "Neoplasm", None),
        ("kidney_cyst_left", "Tissue", None),
        ("nninter_pred_20260106044256", "Tissue", None),
        ("", "Tissue", None),
    ],
)
def test_names_of_models_have_meanings(name: str, meaning: str, side: str | None) -> None:
    found = meaning_of(name)

    assert found.type.meaning == meaning
    assert (found.side.meaning if found.side else None) == side


def test_an_empty_mask_makes_empty_segments(decode: Decode) -> None:
    image = decode(series_zip(phantom()))
    empty = np.zeros(SHAPE, np.uint8)

    written = pydicom.dcmread(io.BytesIO(encode_dicom_seg(empty, {"liver": 1}, image)))

    assert [segment.SegmentLabel for segment in written.SegmentSequence] == ["liver"]
    assert not written.pixel_array.any()
    with pytest.raises(ImageError, match="mask is empty"):
        encode_dicom_seg(empty, {}, image)


def test_compressed_and_de_identified_images(decode: Decode) -> None:
    datasets = series_datasets(phantom(), SeriesOptions(transfer_syntax=JPEG2000Lossless))
    for dataset in datasets:
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "ReferringPhysicianName"):
            del dataset[keyword]
    image = decode(zip_bytes({f"{number}": dicom_bytes(dataset) for number, dataset in enumerate(datasets)}))

    written = pydicom.dcmread(io.BytesIO(encode_dicom_seg(some_mask(), NAMES, image)))

    assert written.PatientBirthDate == ""
    assert placed(written, image).any()


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("", "Doe^Jane"), ("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎")],
)
def test_names_in_other_character_sets(decode: Decode, character_set: str | list[str], name: str) -> None:
    datasets = series_datasets(phantom())
    for dataset in datasets:
        dataset.SpecificCharacterSet, dataset.PatientName = character_set, name
        dataset.set_original_encoding(False, True, None)
    image = decode(zip_bytes({f"{number}": dicom_bytes(dataset) for number, dataset in enumerate(datasets)}))

    written = pydicom.dcmread(io.BytesIO(encode_dicom_seg(some_mask(), NAMES, image)))

    assert written.SpecificCharacterSet == "ISO_IR 192"
    assert str(written.PatientName) == name


def test_one_slice(decode: Decode) -> None:
    dataset = series_datasets(phantom(GRIDS["oblique"]))[4]
    image = decode(dicom_bytes(dataset))
    mask = some_mask()[:, :, 3:4]

    written = pydicom.dcmread(io.BytesIO(encode_dicom_seg(mask, {"lesion": 3}, image)))

    assert np.array_equal(placed(written, image), np.where(mask == 3, 1, np.where(mask == 7, 2, 0)))


def test_what_cannot_be_written_is_said(decode: Decode, tmp_path: Path) -> None:
    capture = decode(dicom_bytes(secondary_capture_dataset(phantom())))
    with pytest.raises(ImageError, match="headers of the image lack"):
        encode_dicom_seg(some_mask(), NAMES, capture)
    picture = StoredImage(capture.volume, "picture", "0" * 64)
    with pytest.raises(ImageError, match="of DICOM images only"):
        encode_dicom_seg(some_mask(), NAMES, picture)


def test_a_real_series(decode: Decode) -> None:
    folder = Path(os.environ.get("IMEASURE_DATA", "../shared/data")) / "dcmqi-3slice" / "ct"
    paths = sorted(folder.glob("*.dcm"))
    content = (
        zip_bytes({path.name: path.read_bytes() for path in paths}) if paths else series_zip(phantom())
    )  # the phantom where there is no real data
    image = decode(content)
    mask = np.zeros(image.volume.shape, np.uint8)
    mask[5:12, 7:14, 1:] = 1

    segmentation = pydicom.dcmread(io.BytesIO(encode_dicom_seg(mask, {"liver": 1}, image)))

    assert np.array_equal(placed(segmentation, image), mask)
