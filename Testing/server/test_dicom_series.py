"""DICOM series, zips and multi-frame images, with SimpleITK (GDCM) as an independent reader."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from imeasure_server.imaging import zip_archive
from imeasure_server.imaging.decoded_image import DecodedImage
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.image_files import decode_image, decode_series_files
from imeasure_server.imaging.volume import Volume
from phantoms import make_lesion_phantom
from phantoms.dicom_series import (
    SeriesOptions,
    as_read,
    dicom_bytes,
    multiframe_dataset,
    secondary_capture_dataset,
    series_datasets,
    series_members,
    series_zip,
    write_series,
    zip_bytes,
)
from phantoms.shapes import rotation_matrix

SHAPE = (20, 16, 9)
GRIDS = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "left-handed": np.diag([1.0, 1.0, -1.0]),
    "oblique": rotation_matrix(np.random.default_rng(3)),
    "oblique left-handed": rotation_matrix(np.random.default_rng(4)) * [1, 1, -1],
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG lossless": JPEGLosslessSV1,
}
MR = SeriesOptions(modality="MR", intercept=0.0, bits=12)

Read = Callable[..., tuple[Volume, DecodedImage]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Decodes the content of a file, or files on disk, and reads what that wrote."""
    made = 0

    def read_content(content: bytes | list[Path], name: str = "upload", series_uid: str = "") -> Any:
        nonlocal made
        made += 1
        folder = tmp_path / f"decoded{made}"
        folder.mkdir()
        if isinstance(content, list):
            decoded = decode_series_files(content, folder, series_uid)
        else:
            (tmp_path / "upload").write_bytes(content)
            decoded = decode_image(tmp_path / "upload", name, folder, series_uid)
        array = np.load(folder / "voxels.npy", mmap_mode="r")
        assert array.flags.f_contiguous
        return Volume(array, decoded.geometry), decoded

    return read_content


def phantom(grid: str = "straight", shape: tuple[int, int, int] = SHAPE, seed: int = 2) -> Volume:
    return make_lesion_phantom(seed, shape, (0.8, 0.9, 2.5), GRIDS[grid], diameter=8).volume


def positive(volume: Volume) -> Volume:
    return Volume(volume.array + np.int16(1024), volume.geometry)


def check(found: Volume, expected: Volume) -> None:
    assert np.array_equal(found.array, expected.array)
    assert found.geometry.affine == pytest.approx(expected.geometry.affine, abs=1e-6)


def check_by_itk(found: Volume, image: sitk.Image) -> None:
    assert np.array_equal(found.array, sitk.GetArrayFromImage(image).T)
    for index in [(0, 0, 0), tuple(length - 1 for length in found.array.shape), (3, 1, 0)]:
        assert found.geometry.to_world(index) == pytest.approx(image.TransformIndexToPhysicalPoint(index), abs=1e-3)


def itk_series(paths: list[Path]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(paths[0].parent)))
    return reader.Execute()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_series_as_gdcm_reads_it(tmp_path: Path, read: Read, grid: str, reverse: bool) -> None:
    options = SeriesOptions(reverse_instances=reverse)
    paths = write_series(tmp_path / "series", phantom(grid), options, shuffled=7)

    volume, decoded = read(paths)

    check(volume, as_read(phantom(grid)))
    check_by_itk(volume, itk_series(paths))
    left_handed = np.linalg.det(GRIDS[grid]) < 0
    assert decoded.flipped == (reverse != left_handed)
    assert decoded.format == "dicom"
    assert decoded.series_uid == pydicom.dcmread(paths[0]).SeriesInstanceUID


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_an_enhanced_multiframe_image(tmp_path: Path, read: Read, grid: str, reverse: bool, modality: str) -> None:
    options = SeriesOptions(reverse_instances=reverse, modality=modality)
    content = dicom_bytes(multiframe_dataset(phantom(grid), options))

    volume, decoded = read(content, "image.dcm")

    check(volume, as_read(phantom(grid)))
    assert decoded.flipped == (reverse != (np.linalg.det(GRIDS[grid]) < 0))
    by_itk = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "upload"))).T
    in_frames = volume.array[:, :, ::-1] if decoded.flipped else volume.array
    assert np.array_equal(by_itk, in_frames)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
def test_every_transfer_syntax(read: Read, syntax: str, signed: bool) -> None:
    volume = phantom("oblique")
    options = SeriesOptions(transfer_syntax=SYNTAXES[syntax], signed=signed, intercept=0 if signed else -1024)

    for content in (series_zip(volume, options), dicom_bytes(multiframe_dataset(volume, options))):
        found, _ = read(content)
        check(found, volume)
        assert found.array.dtype == np.int16


@pytest.mark.parametrize("syntax", ["explicit", "JPEG 2000", "JPEG lossless"])
def test_a_multiframe_secondary_capture(read: Read, syntax: str) -> None:
    content = dicom_bytes(
        secondary_capture_dataset(phantom("oblique"), SeriesOptions(transfer_syntax=SYNTAXES[syntax]))
    )

    volume, decoded = read(content)

    assert np.array_equal(volume.array, phantom("oblique").array)
    assert volume.geometry.affine == pytest.approx(np.diag([0.8, 0.9, 2.5, 1]))  # it says no more
    assert not decoded.flipped


@pytest.mark.parametrize(
    ("slope", "intercept", "signed", "bits", "dtype"),
    [
        (1, -1024, False, 12, "int16"),
        (1, 0, True, 16, "int16"),
        (2, -1024, False, 12, "int16"),
        (-3, 7, True, 12, "int16"),
        (1, -1024, False, 16, "float32"),
        (1, 0, False, 16, "float32"),
        (0.25, -3.5, False, 12, "float32"),
        (1, 0.5, False, 12, "float32"),
        (1, 0, False, 8, "int16"),
        (1, -100, True, 8, "int16"),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless])
def test_rescaled_values(
    read: Read, slope: float, intercept: float, signed: bool, bits: int, dtype: str, syntax: str
) -> None:
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    stored = np.random.default_rng(bits).integers(low, high, (20, 16, 4))
    stored[0, 0, 0], stored[1, 1, 3] = low, high - 1
    values = stored * slope + intercept
    geometry = phantom(shape=(20, 16, 4)).geometry
    options = SeriesOptions(transfer_syntax=syntax, slope=slope, intercept=intercept, signed=signed, bits=bits)

    volume, _ = read(series_zip(Volume(values, geometry), options))

    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array, values)


def test_slopes_that_differ_between_slices_as_in_pet(tmp_path: Path, read: Read) -> None:
    datasets = series_datasets(positive(phantom()), MR)
    for number, dataset in enumerate(datasets):
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{1.5 + 0.25 * number}", f"{number}"
    (tmp_path / "series").mkdir()
    paths = [tmp_path / "series" / f"{number}.dcm" for number in range(len(datasets))]
    for path, dataset in zip(paths, datasets, strict=True):
        dataset.save_as(path)

    volume, _ = read(paths)

    for number, path in enumerate(paths):
        one = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0].T
        assert volume.array[:, :, number] == pytest.approx(one, rel=1e-6)


def test_monochrome1_is_turned_around_except_in_ct(read: Read) -> None:
    volume = positive(phantom())

    inverted, _ = read(series_zip(volume, replace(MR, photometric="MONOCHROME1")))
    ct, _ = read(series_zip(phantom(), SeriesOptions(photometric="MONOCHROME1")))

    assert np.array_equal(inverted.array, 4095 - volume.array)
    assert np.array_equal(ct.array, phantom().array)


def test_unused_high_bits_are_no_values(read: Read) -> None:
    stored = np.random.default_rng(1).integers(-2048, 2048, (6, 5, 4))
    geometry = phantom(shape=(6, 5, 4)).geometry
    for signed, expected in ((True, stored), (False, stored & 0xFFF)):
        datasets = series_datasets(Volume(stored & 0xFFF, geometry), replace(MR, signed=False))
        for dataset in datasets:
            dataset.PixelRepresentation = int(signed)
            pixels = np.frombuffer(dataset.PixelData, "<u2") | 0xA000  # an overlay of former days
            dataset.PixelData = pixels.astype("<u2").tobytes()

        volume, _ = read(zip_bytes({f"{n}": dicom_bytes(dataset) for n, dataset in enumerate(datasets)}))

        assert np.array_equal(volume.array, expected)


def test_colour_becomes_luminance(read: Read) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (16, 20, 3)).astype(np.uint8)
    dataset = secondary_capture_dataset(positive(phantom()), replace(MR, bits=16))
    del dataset.NumberOfFrames, dataset.FrameIncrementPointer
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = picture.tobytes()

    volume, _ = read(dicom_bytes(dataset))

    assert np.abs(volume.array[:, :, 0].T - picture @ [0.299, 0.587, 0.114]).max() <= 0.5


def test_a_dose_grid_with_frame_offsets(read: Read) -> None:
    volume = positive(phantom("oblique"))
    dataset = secondary_capture_dataset(volume, MR)
    first = series_datasets(volume, MR)[0]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = (
        first.ImagePositionPatient, first.ImageOrientationPatient,
    )  # fmt: skip
    dataset.GridFrameOffsetVector = [2.5 * number for number in range(SHAPE[2])]
    del dataset.SpacingBetweenSlices

    found, _ = read(dicom_bytes(dataset))

    check(found, volume)


def test_old_files_without_a_preamble_and_long_headers(read: Read) -> None:
    members = {}
    for number, dataset in enumerate(series_datasets(phantom())):
        block = dataset.private_block(0x0099, "phantoms", create=True)
        block.add_new(1, "OB", bytes(70_000 if number % 2 else 2))
        content = dicom_bytes(dataset)
        members[f"{number}.dcm"] = content[132:] if number % 3 == 0 else content

    volume, _ = read(zip_bytes(members))

    check(volume, phantom())


@pytest.mark.parametrize("folder", ["", "2.000000-PRE LIVER-76970", "a/b c/ü", "../../..", "C:\\x", "/etc"])
def test_zips_flat_nested_and_nasty(tmp_path: Path, read: Read, folder: str) -> None:
    junk = {
        "DICOMDIR": b"\0" * 128 + b"DICM" + b"junk",
        "__MACOSX/._IM0001.dcm": b"\0\5\x16\7",
        ".DS_Store": b"x",
        "readme.txt": b"read me",
        "report.pdf": b"%PDF-1.4",
        "empty.dcm": b"",
        "inner.zip": zip_bytes({"a": b"b"}),
        "picture.jpg": b"\xff\xd8\xff",
    }
    before = sorted(tmp_path.iterdir())

    volume, _ = read(series_zip(phantom("oblique"), folder=folder, shuffled=3, extra=junk))

    check(volume, phantom("oblique"))
    assert {path.name for path in tmp_path.iterdir()} == {*(path.name for path in before), "upload", "decoded1"}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_however_packed(read: Read, compression: int) -> None:
    check(read(series_zip(phantom(), compression=compression))[0], phantom())


def several_series() -> tuple[dict[str, bytes], str, str]:
    """A large and a small series with a scout in another orientation; members, and their series' UIDs."""
    large, small = phantom("oblique"), phantom("coronal", (20, 16, 4), seed=5)
    options = SeriesOptions(series="small")
    members = {
        **series_members(small, options, folder="1"),
        **series_members(large, folder="2"),
        **{f"scout{name}": content for name, content in series_members(phantom("sagittal", (64, 64, 1))).items()},
    }
    members["2/again.dcm"] = members["2/IM0003.dcm"]  # the same file twice
    uids = [str(series_datasets(small, o)[0].SeriesInstanceUID) for o in (options, SeriesOptions())]
    return members, uids[1], uids[0]


def test_the_largest_series_or_the_one_asked_for(read: Read) -> None:
    members, large, small = several_series()
    content = zip_bytes(dict(sorted(members.items(), key=lambda item: item[0][::-1])))

    check(read(content)[0], as_read(phantom("oblique")))
    assert read(content)[1].series_uid == large
    check(read(content, series_uid=small)[0], as_read(phantom("coronal", (20, 16, 4), seed=5)))
    with pytest.raises(ImageError, match=r"no image of the series 1\.2\.3"):
        read(content, series_uid="1.2.3")


def members_without(*left_out: int) -> Mapping[str, bytes]:
    return {name: content for n, (name, content) in enumerate(series_members(phantom()).items()) if n not in left_out}


def moved(change: Callable[[int, npt.NDArray[np.float64]], Any]) -> bytes:
    """A zip of a series whose slice positions are changed."""
    datasets = series_datasets(phantom("oblique"))
    for number, dataset in enumerate(datasets):
        position = np.array([float(value) for value in dataset.ImagePositionPatient])
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in change(number, position)]
    return zip_bytes({f"{n}": dicom_bytes(dataset) for n, dataset in enumerate(datasets)})


NORMAL = GRIDS["oblique"][:, 2]
ROW = GRIDS["oblique"][:, 0]


def test_slices_that_do_not_make_a_grid_are_refused(read: Read) -> None:
    with pytest.raises(ImageError, match=r"not evenly spaced \(they are 2\.5 to 5 mm apart\).*missing"):
        read(zip_bytes(members_without(4)))
    with pytest.raises(ImageError, match="not evenly spaced"):
        read(moved(lambda number, position: position + NORMAL * (0.6 if number == 3 else 0)))
    with pytest.raises(ImageError, match="not evenly spaced"):
        read(moved(lambda number, position: position + NORMAL * 0.08 * number**2))
    with pytest.raises(ImageError, match="shifted against each other"):
        read(moved(lambda number, position: position + ROW * 0.3 * number))
    with pytest.raises(ImageError, match="shifted against each other"):
        read(moved(lambda number, position: position + ROW * (2 if number == 4 else 0)))
    assert read(zip_bytes(members_without(0, 8)))[0].array.shape == (20, 16, 7)


def test_rounded_and_jittered_positions_are_taken(read: Read) -> None:
    random = np.random.default_rng(5)
    volume, _ = read(moved(lambda _, position: position + NORMAL * random.uniform(-0.05, 0.05)))

    assert np.array_equal(volume.array, phantom("oblique").array)
    assert volume.geometry.affine == pytest.approx(phantom("oblique").geometry.affine, abs=0.06)


def test_several_images_at_one_place_are_refused(read: Read) -> None:
    datasets = series_datasets(phantom())
    for number, dataset in enumerate(series_datasets(phantom(), SeriesOptions(study="other"))):
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = datasets[0].SeriesInstanceUID, f"1.2.{number}"
        datasets.append(dataset)
    content = zip_bytes({f"{n}": dicom_bytes(dataset) for n, dataset in enumerate(datasets)})

    with pytest.raises(ImageError, match="18 images at 9 positions"):
        read(content)


def test_a_series_without_positions_is_in_the_order_of_its_numbers(read: Read) -> None:
    datasets = series_datasets(phantom())
    for dataset in datasets:
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    members = {f"{n}": dicom_bytes(dataset) for n, dataset in sorted(enumerate(datasets), key=lambda item: -item[0])}

    volume, decoded = read(zip_bytes(members))

    assert np.array_equal(volume.array, phantom().array)
    assert volume.geometry.affine == pytest.approx(np.diag([0.8, 0.9, 2.5, 1]))
    assert not decoded.flipped


def test_one_slice(read: Read) -> None:
    volume, decoded = read(dicom_bytes(series_datasets(phantom("oblique"))[4]), "slice")

    assert np.array_equal(volume.array, phantom("oblique").array[:, :, 4:5])
    assert volume.geometry.origin == pytest.approx(phantom("oblique").geometry.to_world((0, 0, 4)))
    assert volume.geometry.spacing == pytest.approx((0.8, 0.9, 2.5))
    assert not decoded.flipped


def test_the_headers_are_kept_without_pixels_in_slice_order(tmp_path: Path, read: Read) -> None:
    for syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless):
        options = SeriesOptions(reverse_instances=True, transfer_syntax=syntax)
        read(series_zip(phantom(), options, shuffled=1))

        folder = max(tmp_path.glob("decoded*"), key=lambda path: int(path.name[7:])) / "headers"
        headers = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]

        assert [header.InstanceNumber for header in headers] == list(range(9, 0, -1))
        assert all("PixelData" not in header and header.PatientID == "PHANTOM-1" for header in headers)


def test_segmentations_and_other_objects_are_no_images(read: Read) -> None:
    segmentation = multiframe_dataset(phantom(shape=(40, 40, 30)))
    segmentation.Modality = "SEG"
    report = series_datasets(phantom())[0]
    del report.PixelData
    extra = {"seg": dicom_bytes(segmentation), "report": dicom_bytes(report)}

    check(read(series_zip(phantom(), extra=extra))[0], phantom())
    with pytest.raises(ImageError, match="segmentation or other derived objects but no image"):
        read(zip_bytes(extra))
    with pytest.raises(ImageError, match="no DICOM image"):
        read(zip_bytes({"report": extra["report"], "a.txt": b"a"}))


def test_zips_that_are_refused(monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    content = series_zip(phantom())
    encrypted = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            encrypted[at + offset] |= 1
    with pytest.raises(ImageError, match="encrypted"):
        read(bytes(encrypted))
    for damaged in (content[: len(content) // 2], content[:-5], b"PK\x03\x04" + bytes(100)):
        with pytest.raises(ImageError, match="ZIP archive is damaged"):
            read(damaged)
    lying = bytearray(content)
    at = content.find(b"PK\x01\x02")
    lying[at + 16] ^= 1  # the check sum of the first member
    with pytest.raises(ImageError, match="ZIP archive is damaged"):
        read(bytes(lying))
    monkeypatch.setattr(zip_archive, "MAX_UNPACKED_BYTES", 4000)
    with pytest.raises(ImageError, match="when it is unpacked"):
        read(content)
    monkeypatch.setattr(zip_archive, "MAX_MEMBERS", 8)
    with pytest.raises(ImageError, match="holds 9 files; at most 8"):
        read(content)


def test_a_member_never_yields_more_than_it_declares(read: Read) -> None:
    """A bomb whose directory says that it is small."""
    content = bytearray(zip_bytes({"bomb.dcm": bytes(50_000_000)}))
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 1000)

    with pytest.raises(ImageError, match="ZIP archive is damaged"):
        read(bytes(content))


def test_a_file_that_kills_the_decoder_kills_nothing_else(read: Read) -> None:
    """GDCM dies of a precision of 233 bits in lossless JPEG: it has a process of its own."""
    options = SeriesOptions(transfer_syntax=JPEGLosslessSV1)
    members = series_members(phantom(), options)
    name, content = list(members.items())[4]
    frame = content.index(b"\xff\xc3")
    broken = content[: frame + 4] + bytes([233]) + content[frame + 5 :]

    with pytest.raises(ImageError, match="damaged or cannot be decoded"):
        read(zip_bytes({**members, name: broken}))
    check(read(zip_bytes(members))[0], phantom())


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_told_apart_from_images(read: Read) -> None:
    """Whatever is cut off or changed: an image or a sentence, never another error."""
    random = np.random.default_rng(8)
    for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless, DeflatedExplicitVRLittleEndian):
        content = dicom_bytes(multiframe_dataset(phantom(shape=(12, 10, 3)), SeriesOptions(transfer_syntax=syntax)))
        with pytest.raises(ImageError, match=r"image\.dcm (is|holds|cannot)|is damaged"):
            read(content[:-200], "image.dcm")
        for _ in range(25):
            broken = bytearray(content)
            for at in random.integers(132, len(content), 6):
                broken[at] = random.integers(256)
            cut = len(content) if random.random() < 0.5 else int(random.integers(140, len(content)))
            try:
                read(bytes(broken[:cut]), "image.dcm")
            except ImageError as error:
                assert str(error).endswith((".", ":")), error  # noqa: PT017
                assert "/" not in str(error)  # noqa: PT017


@pytest.mark.filterwarnings("ignore")
def test_slices_with_damaged_headers(read: Read) -> None:
    """One or two of the files of a zip: left out, refused, or still readable."""
    random = np.random.default_rng(9)
    members = series_members(phantom(shape=(8, 6, 4)))
    for _ in range(60):
        broken = dict(members)
        for name in random.choice(list(members), 2, replace=False):
            content = bytearray(members[str(name)])
            for at in random.integers(132, len(content) - 8 * 6 * 2, 5):
                content[at] = random.integers(256)
            broken[str(name)] = bytes(content)
        try:
            read(zip_bytes(broken, zipfile.ZIP_STORED))
        except ImageError as error:
            assert str(error).endswith(".")  # noqa: PT017


def real_folder(*parts: str) -> list[Path]:
    folder = Path(os.environ.get("IMEASURE_DATA", "../shared/data")).joinpath(*parts)
    return sorted(path for path in folder.glob("*.dcm") if path.is_file())


@pytest.mark.parametrize(
    "parts",
    [("totalsegmentator-example", "dicom_ct"), ("sts-ibsi", "dicom_rtstruct", "STS_008_CT"), ("dcmqi-3slice", "ct")],
)
def test_real_series_as_gdcm_reads_them(tmp_path: Path, read: Read, parts: tuple[str, ...]) -> None:
    paths = real_folder(*parts) or write_series(tmp_path / "series", phantom("oblique"))  # where there is no real data
    content = zip_bytes({path.name: path.read_bytes() for path in paths})

    volume, _ = read(content)

    check_by_itk(volume, itk_series(paths))
