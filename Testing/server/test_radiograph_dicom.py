"""Radiographs as DICOM, written by pydicom in the forms that detectors and archives give."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, RLELossless, generate_uid

from imeasure_server.imaging.picture_header import PictureError, PictureTooLarge, UnsupportedPicture
from imeasure_server.imaging.radiograph_dicom import read_radiograph_dicom

HEIGHT, WIDTH = 40, 60
RAMP = np.add.outer(np.arange(HEIGHT) * 40, np.arange(WIDTH) * 41).astype(np.uint16)  # to 3979: 12 bits
SEEN = RAMP / RAMP.max() * 255
SATURATED = 6.0
"""Grey levels by which a ramp's ends may differ: a few of the darkest and brightest values saturate."""
DATA = Path(os.environ.get("IMEASURE_DATA", "../shared/data"))


def radiograph(values: NDArray[Any] = RAMP, **entries: Any) -> Dataset:
    """A data set as a flat panel gives it; ``entries`` add to it or replace what is in it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * values.dtype.itemsize
    dataset.BitsStored = 12 if values.dtype.itemsize == 2 else 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    for name, value in entries.items():
        setattr(dataset, name, value)
    return dataset


def saved(folder: Path, dataset: Dataset) -> Path:
    path = folder / "radiograph"  # archives give names without a suffix
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_twelve_bits_without_a_window_fill_the_range(tmp_path: Path) -> None:
    picture, spacing = read_radiograph_dicom(saved(tmp_path, radiograph()))

    assert picture.dtype == np.uint8
    assert picture == pytest.approx(SEEN, abs=SATURATED)
    assert spacing is None


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    inverted = radiograph(RAMP.max() - RAMP, PhotometricInterpretation="MONOCHROME1")

    assert read_radiograph_dicom(saved(tmp_path, inverted))[0] == pytest.approx(SEEN, abs=SATURATED)


def test_the_window_is_applied(tmp_path: Path) -> None:
    picture, _ = read_radiograph_dicom(saved(tmp_path, radiograph(WindowCenter=1000, WindowWidth=800)))

    assert (picture[RAMP <= 600] == 0).all()
    assert (picture[RAMP >= 1400] == 255).all()
    assert picture[(RAMP > 980) & (RAMP < 1020)].astype(int) == pytest.approx(127, abs=8)


@pytest.mark.parametrize("window", [(1e6, 10), (1000, 0)], ids=["beyond the values", "of no width"])
def test_a_window_that_shows_nothing_is_not_applied(tmp_path: Path, window: tuple[float, float]) -> None:
    dataset = radiograph(WindowCenter=window[0], WindowWidth=window[1])

    assert read_radiograph_dicom(saved(tmp_path, dataset))[0] == pytest.approx(SEEN, abs=SATURATED)


def test_the_window_is_of_rescaled_values(tmp_path: Path) -> None:
    dataset = radiograph(RescaleSlope=2, RescaleIntercept=-500, RescaleType="US", WindowCenter=1500, WindowWidth=1600)

    picture, _ = read_radiograph_dicom(saved(tmp_path, dataset))

    assert (picture[RAMP <= 600] == 0).all()
    assert (picture[RAMP >= 1400] == 255).all()


def test_a_voi_table_is_applied(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = ((4095 - np.arange(4096)) * 16).astype(np.uint16).tobytes()
    table["LUTData"].VR = "OW"

    picture, _ = read_radiograph_dicom(saved(tmp_path, radiograph(VOILUTSequence=Sequence([table]))))

    assert picture == pytest.approx(255 - SEEN, abs=SATURATED)


def test_signed_values(tmp_path: Path) -> None:
    signed = RAMP.astype(np.int16) - 2000

    assert read_radiograph_dicom(saved(tmp_path, radiograph(signed)))[0] == pytest.approx(SEEN, abs=SATURATED)


def test_eight_bits_stay_what_they_are(tmp_path: Path) -> None:
    grey = (RAMP // 20 + 30).astype(np.uint8)

    assert np.array_equal(read_radiograph_dicom(saved(tmp_path, radiograph(grey)))[0], grey)


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count(tmp_path: Path, kind: str) -> None:
    values = RAMP // 8 + 1000
    values[:, :20] = 4095

    picture, _ = read_radiograph_dicom(
        saved(tmp_path, radiograph(values, PixelPaddingValue=4095, PhotometricInterpretation=kind))
    )

    assert (picture[:, :20] == 0).all()
    assert np.ptp(picture[:, 20:].astype(int)) > 240


def test_the_first_frame_of_several(tmp_path: Path) -> None:
    frames = np.stack([RAMP, RAMP[::-1]])

    picture, _ = read_radiograph_dicom(saved(tmp_path, radiograph(frames, NumberOfFrames=2)))

    assert picture == pytest.approx(SEEN, abs=SATURATED)


def test_colour(tmp_path: Path) -> None:
    colour = np.stack([(RAMP // 16).astype(np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)], axis=-1)[:, :, [0, 1, 0]]
    dataset = radiograph(colour[:, :, 0], SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    dataset.PixelData = colour.tobytes()

    assert np.array_equal(read_radiograph_dicom(saved(tmp_path, dataset))[0], colour)


# Size of pixels


@pytest.mark.parametrize("name", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
def test_the_size_of_square_pixels(tmp_path: Path, name: str) -> None:
    picture, spacing = read_radiograph_dicom(saved(tmp_path, radiograph(**{name: [0.139, 0.139]})))

    assert picture.shape == (HEIGHT, WIDTH)
    assert spacing == (0.139, 0.139)


def test_a_calibrated_size_comes_before_the_detectors(tmp_path: Path) -> None:
    dataset = radiograph(PixelSpacing=[0.1, 0.1], ImagerPixelSpacing=[0.2, 0.2])

    assert read_radiograph_dicom(saved(tmp_path, dataset))[1] == (0.1, 0.1)


@pytest.mark.parametrize(
    ("entries", "shape", "side"),
    [
        ({"PixelSpacing": [0.2, 0.1]}, (2 * HEIGHT, WIDTH), 0.1),
        ({"ImagerPixelSpacing": [0.1, 0.15]}, (HEIGHT, WIDTH * 3 // 2), 0.1),
        ({"PixelAspectRatio": [3, 2]}, (HEIGHT * 3 // 2, WIDTH), None),
    ],
)
def test_pixels_are_made_square(
    tmp_path: Path, entries: dict[str, Any], shape: tuple[int, int], side: float | None
) -> None:
    picture, spacing = read_radiograph_dicom(saved(tmp_path, radiograph(**entries)))

    assert picture.shape == shape
    assert spacing == (None if side is None else (side, side))
    middle = picture[shape[0] // 2, shape[1] // 2]
    assert middle == pytest.approx(SEEN[HEIGHT // 2, WIDTH // 2], abs=4)


@pytest.mark.parametrize("entries", [{"PixelAspectRatio": [1, 5000]}, {"PixelAspectRatio": [0, 1]}])
def test_pixels_that_cannot_be_are_taken_as_square(tmp_path: Path, entries: dict[str, Any]) -> None:
    assert read_radiograph_dicom(saved(tmp_path, radiograph(**entries)))[0].shape == (HEIGHT, WIDTH)


# Compression and refusals


def test_rle(tmp_path: Path) -> None:
    dataset = radiograph()
    dataset.compress(RLELossless)

    assert read_radiograph_dicom(saved(tmp_path, dataset))[0] == pytest.approx(SEEN, abs=SATURATED)


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "MR_small_RLE.dcm"])
def test_losslessly_compressed_is_the_same(name: str) -> None:
    compressed, plain = (get_testdata_file(file, download=False) for file in (name, "MR_small.dcm"))
    assert isinstance(compressed, str)
    assert isinstance(plain, str)

    assert np.array_equal(read_radiograph_dicom(compressed)[0], read_radiograph_dicom(plain)[0])


def test_what_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    dataset = radiograph()
    dataset.compress(RLELossless)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"

    with pytest.raises(UnsupportedPicture, match=r"compressed as JPEG Lossless.*export it uncompressed"):
        read_radiograph_dicom(saved(tmp_path, dataset))


def test_what_is_no_dicom_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture.dcm"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))

    with pytest.raises(UnsupportedPicture, match=r"picture\.dcm is not a DICOM file"):
        read_radiograph_dicom(path)
    with pytest.raises(FileNotFoundError, match=r"no file other\.dcm"):
        read_radiograph_dicom(tmp_path / "other.dcm")


def test_without_an_image(tmp_path: Path) -> None:
    dataset = radiograph()
    del dataset.PixelData

    with pytest.raises(UnsupportedPicture, match="holds no image"):
        read_radiograph_dicom(saved(tmp_path, dataset))


def test_too_large_is_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(PictureTooLarge, match="30000 × 40000"):
        read_radiograph_dicom(saved(tmp_path, radiograph(Rows=40000, Columns=30000)))


@pytest.mark.parametrize("change", [{"Rows": 4 * HEIGHT}, {"BitsAllocated": 13}, {"SamplesPerPixel": 7}])
def test_contradictory_entries_are_damage(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(PictureError, match="damaged or incomplete"):
        read_radiograph_dicom(saved(tmp_path, radiograph(**change)))


@pytest.mark.parametrize(
    "source", ["generated", *sorted(DATA.glob("*-vhs/*.dcm")), *sorted(DATA.glob("feline-*/*.dcm"))]
)
def test_a_whole_radiograph(source: str | Path, tmp_path: Path) -> None:
    """A generated one, and the real ones where the data are here."""
    if isinstance(source, str):
        source = saved(tmp_path, radiograph(np.kron(RAMP, np.ones((30, 30), np.uint16)), PixelSpacing=[0.139, 0.139]))

    picture, spacing = read_radiograph_dicom(source)

    assert min(picture.shape) > 1000
    assert (picture.min(), picture.max()) == (0, 255)
    assert 30 < picture.mean() < 160
    assert spacing is not None
    assert 0.08 < spacing[0] == spacing[1] < 0.2
