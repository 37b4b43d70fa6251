"""Label masks written and read, with nibabel, SimpleITK and the contract's own example as independent readers."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from imeasure_server.imaging import gzip_stream
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import EXTENSIONS, encode_label, read_label
from imeasure_server.imaging.label_grid import label_on_grid
from imeasure_server.imaging.nrrd import read_nrrd
from imeasure_server.imaging.volume import LPS_TO_RAS, FloatArray, Geometry, Volume
from phantoms.shapes import rotation_matrix

SHAPE = (11, 9, 6)
MODEST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BOUNDARY = "5f2c9a1e77d04b6f"


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Anisotropic grids: along the axes in any order and direction, or oblique, right- or left-handed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        directions = random.permutation(np.diag(random.choice([-1.0, 1.0], 3)))
    else:
        directions = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return Geometry.from_axes(random.uniform(-500, 500, 3), random.uniform(0.3, 6.0, 3), directions, SHAPE)


def labels(seed: int = 0, highest: int = 3, shape: tuple[int, int, int] = SHAPE) -> npt.NDArray[Any]:
    random = np.random.default_rng(seed)
    return random.integers(0, highest + 1, shape).astype(np.uint8 if highest < 256 else np.uint16)


def example_answer(file: bytes) -> bytes:
    """A multipart body as the server writes it."""
    return b"".join(
        [
            f"--{BOUNDARY}\r\n".encode(),
            b'Content-Disposition: form-data; name="params"\r\nContent-Type: application/json\r\n\r\n',
            json.dumps({"label_name": "x", "flipped": True}).encode(),
            f"\r\n--{BOUNDARY}\r\n".encode(),
            b'Content-Disposition: form-data; name="image"; filename="label.nii.gz"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n",
            file,
            f"\r\n--{BOUNDARY}--\r\n".encode(),
        ]
    )


def by_the_contracts_example(content: bytes) -> bytes:
    """The parsing of "Python Integration" in the contract, word for word."""
    boundary = BOUNDARY
    parts = content.split(f"--{boundary}".encode())
    for part in parts:
        if b'name="params"' in part:
            metadata_json = part.split(b"\r\n\r\n")[1].split(b"\r\n")[0]
            json.loads(metadata_json.decode())
        elif b'name="image"' in part:
            image_data = part.split(b"\r\n\r\n")[1]
    return image_data


@MODEST
@given(geometry=geometries(), highest=st.sampled_from([1, 255, 300]), extension=st.sampled_from([".nii.gz", ".nii"]))
def test_nibabel_and_simpleitk_read_the_nifti(tmp_path: Path, geometry: Geometry, highest: int, extension: str) -> None:
    mask = labels(1, highest)
    path = tmp_path / f"{extension.count('.')}{extension}"  # ITK reads the voxels of a.nii.gz from a.nii beside it
    path.write_bytes(encode_label(mask, geometry, extension))

    image = nib.load(path)
    by_itk = sitk.ReadImage(str(path))

    assert image.shape == SHAPE
    assert image.get_data_dtype() == mask.dtype
    assert np.array_equal(np.asanyarray(image.dataobj), mask)
    for affine in (image.affine, image.get_sform(), image.get_qform()):
        assert affine == pytest.approx(geometry.ras_affine, abs=3e-4)
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    assert np.array_equal(sitk.GetArrayFromImage(by_itk).T, mask)
    assert by_itk.TransformIndexToPhysicalPoint((10, 8, 5)) == pytest.approx(geometry.to_world((10, 8, 5)), abs=3e-4)


@MODEST
@given(geometry=geometries(), highest=st.sampled_from([1, 300]), compress=st.booleans())
def test_simpleitk_reads_the_nrrd(tmp_path: Path, geometry: Geometry, highest: int, compress: bool) -> None:
    mask = labels(2, highest)
    path = tmp_path / "mask.nrrd"
    path.write_bytes(encode_label(mask, geometry, "nrrd", compress=compress))

    image = sitk.ReadImage(str(path))

    assert np.array_equal(sitk.GetArrayFromImage(image).T, mask)
    assert image.TransformIndexToPhysicalPoint((10, 8, 5)) == pytest.approx(geometry.to_world((10, 8, 5)), abs=1e-6)
    header = path.read_bytes().split(b"\n\n")[0].decode().splitlines()
    assert {"space: left-posterior-superior", "endian: little", f"encoding: {'gzip' if compress else 'raw'}"} <= {
        *header
    }


@MODEST
@given(geometry=geometries(), extension=st.sampled_from([".nii.gz", ".nii", ".nrrd", ".seg.nrrd"]))
def test_what_is_written_is_read(tmp_path: Path, geometry: Geometry, extension: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(encode_label(labels(3, 300), geometry, extension))

    label = read_label(path, "mask")

    assert np.array_equal(label.array, labels(3, 300))
    assert label.geometry.affine == pytest.approx(geometry.affine, abs=3e-4)
    assert np.array_equal(label_on_grid(label, geometry), labels(3, 300))


def test_a_flat_mask_as_png(tmp_path: Path) -> None:
    for highest in (1, 200, 3000):
        mask = labels(4, highest, (7, 5, 1))
        path = tmp_path / "mask.png"
        path.write_bytes(encode_label(mask, Geometry(np.eye(4), (7, 5, 1)), "PNG"))

        with Image.open(path) as image:
            assert image.size == (7, 5)
            assert np.array_equal(np.asarray(image).T, mask[:, :, 0])
        assert np.array_equal(read_label(path, "mask.png").array, mask)


def test_segments_are_named_for_slicer(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:5, 1:3, 4], mask[8, 8, 0] = 2, 5
    path = tmp_path / "mask.seg.nrrd"
    path.write_bytes(encode_label(mask, Geometry(np.eye(4), SHAPE), ".seg.nrrd", label_names={"left lung": 2}))

    pairs = read_nrrd(path, "mask").pairs

    assert pairs["Segment0_Name"] == "left lung"
    assert pairs["Segment0_LabelValue"] == "2"
    assert pairs["Segment0_Extent"] == "2 4 1 2 4 4"
    assert pairs["Segment1_LabelValue"] == "5"
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T, mask)


def random_masks() -> list[npt.NDArray[Any]]:
    """Noise, which compresses badly, of many sizes; and balls, which compress well."""
    random = np.random.default_rng(5)
    masks = [(random.random((40, 30, 20)) < density).astype(np.uint8) for density in np.linspace(0, 1, 25)]
    masks += [random.integers(0, 256, tuple(random.integers(1, 40, 3))).astype(np.uint8) for _ in range(60)]
    indices = np.stack(np.meshgrid(*[np.arange(48)] * 3, indexing="ij"), axis=-1)
    for _ in range(25):
        middle, radius = random.uniform(0, 48, 3), random.uniform(1, 30)
        masks.append((np.linalg.norm(indices - middle, axis=-1) < radius).astype(np.uint8))
    return masks


def test_the_contracts_naive_example_yields_every_mask(tmp_path: Path) -> None:
    geometry = Geometry.from_axes((1, 2, 3), (0.7, 0.8, 2.5), np.diag([1.0, -1.0, -1.0]), (1, 1, 1))
    for mask in random_masks():
        geometry = Geometry(geometry.affine, mask.shape)
        kept = by_the_contracts_example(example_answer(encode_label(mask, geometry, ".nii.gz")))
        path = tmp_path / "segmentation_mask.nii.gz"
        path.write_bytes(kept)

        assert np.array_equal(np.asanyarray(nib.load(path).dataobj), mask)
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T, mask)
        assert np.array_equal(read_label(path, "mask").array, mask)  # sent back to be refined


def test_a_stream_with_a_blank_line_is_made_differently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank lines come by chance once in 2^32 bytes; any of 300 pairs of bytes come as often as is needed here."""
    random = np.random.default_rng(6)
    forbidden = tuple(bytes(random.integers(0, 256, 2, dtype=np.uint8)) for _ in range(300))
    monkeypatch.setattr(gzip_stream, "NEVER_INSIDE", forbidden)
    remade = 0
    for seed in range(12):
        mask = (np.random.default_rng(seed).random((16, 16, 2)) < 0.02).astype(np.uint8)
        content = encode_label(mask, Geometry(np.eye(4), mask.shape), ".nii.gz")

        assert not any(pattern in content for pattern in forbidden)
        plain = gzip.decompress(content)
        remade += plain[148:].split(b"\0")[0] != b"IMeasure 0"
        (tmp_path / "mask.nii.gz").write_bytes(content)
        assert np.array_equal(np.asanyarray(nib.load(tmp_path / "mask.nii.gz").dataobj), mask)
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "mask.nii.gz"))).T, mask)
        assert np.array_equal(np.frombuffer(plain, np.uint8)[-mask.size :].reshape(mask.shape, order="F"), mask)
    assert remade


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n--x--\r\n"])
def test_what_follows_a_gzip_stream_is_passed_by(end: bytes) -> None:
    content = gzip.compress(b"one") + gzip.compress(b"two") + end

    assert b"".join(gzip_stream.unpack(io.BytesIO(content))) == b"onetwo"


def test_damaged_gzip_streams_are_noticed() -> None:
    content = bytearray(gzip.compress(bytes(range(256)) * 40))
    with pytest.raises(EOFError):
        list(gzip_stream.unpack(io.BytesIO(content[:-3])))
    content[-6] ^= 1  # the check sum
    with pytest.raises(zlib.error):
        list(gzip_stream.unpack(io.BytesIO(content)))


@pytest.mark.parametrize("extension", ["dcm", ".jpg", "", ".exe"])
def test_other_extensions_are_refused(extension: str) -> None:
    with pytest.raises(ImageError, match=r"ask for one of \.nii\.gz"):
        encode_label(labels(), Geometry(np.eye(4), SHAPE), extension)


def test_what_no_label_is(tmp_path: Path) -> None:
    geometry = Geometry(np.eye(4), SHAPE)
    for array in (np.full(SHAPE, 0.5), np.full(SHAPE, -1), np.full(SHAPE, 70000), np.full(SHAPE, np.nan)):
        with pytest.raises(ImageError, match="whole numbers"):
            encode_label(array, geometry, ".nii.gz")
    with pytest.raises(ImageError, match="PNG holds one slice"):
        encode_label(labels(), geometry, ".png")
    with pytest.raises(ImageError, match="not perpendicular"):
        encode_label(labels(), Geometry(np.eye(4) + np.eye(4, k=1) * [[1], [0], [0], [0]] * 0.3, SHAPE), ".nii.gz")
    nib.save(nib.Nifti1Image(np.full(SHAPE, 1.5, np.float32), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(ImageError, match="whole numbers"):
        read_label(tmp_path / "a.nii", "a.nii")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="JPEG"):
        read_label(tmp_path / "a.jpg", "a.jpg")


def test_floating_point_files_with_whole_numbers_are_labels(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(labels(7).astype(np.float64), np.diag([-2.0, 3, 4, 1])), tmp_path / "a.nii.gz")

    label = read_label(tmp_path / "a.nii.gz", "a.nii.gz")

    assert label.array.dtype == np.uint8
    assert np.array_equal(label.array, labels(7))


def turned(volume: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same voxels in another axis order and direction."""
    array, affine = volume.array.transpose(order), volume.geometry.affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
            array = np.flip(array, axis)
    return Volume(array, Geometry(affine, array.shape))


@MODEST
@given(
    geometry=geometries(),
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_a_mask_in_another_voxel_order_is_reordered(
    geometry: Geometry, order: list[int], flips: tuple[bool, ...]
) -> None:
    mask = labels(8, 200)

    label = turned(Volume(mask, geometry), tuple(order), flips)

    assert np.array_equal(label_on_grid(label, geometry), mask)


def test_a_mask_on_another_grid_is_resampled_as_simpleitk_does() -> None:
    random = np.random.default_rng(9)
    geometry = Geometry.from_axes((-20, 10, 5), (1.1, 0.9, 2.0), rotation_matrix(random), (24, 20, 12))
    finer = Geometry.from_axes(
        geometry.to_world((2.2, 1.3, 0.4)), (0.6, 0.7, 0.8), rotation_matrix(random), (40, 36, 30)
    )
    distance = np.linalg.norm(np.stack(np.meshgrid(*map(np.arange, finer.shape), indexing="ij"), -1) - 12, axis=-1)
    mask = np.where(distance < 9, 2, (distance < 14).astype(np.uint8)).astype(np.uint8)

    ours = label_on_grid(Volume(mask, finer), geometry)

    by_itk = sitk.Resample(
        itk_image(mask, finer), itk_image(np.zeros(geometry.shape, np.uint8), geometry), sitk.Transform(),
        sitk.sitkNearestNeighbor,
    )  # fmt: skip
    theirs = sitk.GetArrayFromImage(by_itk).T
    assert ours.any()
    assert (ours == theirs).mean() > 0.9995  # rounding at the very faces of voxels


def itk_image(array: npt.NDArray[Any], geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetOrigin(geometry.origin.tolist())
    image.SetSpacing(geometry.spacing.tolist())
    image.SetDirection(geometry.directions.reshape(-1).tolist())
    return image


def test_a_mask_elsewhere_is_refused() -> None:
    geometry = Geometry(np.eye(4), SHAPE)
    far = Geometry.from_axes((500, 0, 0), (1, 1, 1), np.eye(3), SHAPE)
    for mask in (labels(10), np.zeros(SHAPE, np.uint8)):
        with pytest.raises(ImageError, match="lies elsewhere"):
            label_on_grid(Volume(mask, far), geometry)


@pytest.mark.parametrize("nothing", [np.eye(4), LPS_TO_RAS])
def test_a_file_that_says_nothing_of_its_place_is_taken_as_it_is(nothing: FloatArray) -> None:
    geometry = Geometry.from_axes((30, -5, 12), (0.5, 0.6, 3), rotation_matrix(np.random.default_rng(11)), SHAPE)

    assert np.array_equal(label_on_grid(Volume(labels(12), Geometry(nothing, SHAPE)), geometry), labels(12))


@pytest.mark.parametrize(
    ("packed", "safe"),
    [
        (b"a\r\nb", True),
        (b"a\r\n\r\nb", False),
        (b"a\r\n--b", False),
        (b"a\r\n", False),
        (b"\r\n\r", True),
        (b"a\r", True),
    ],
)
def test_what_splits_a_body(packed: bytes, safe: bool) -> None:
    """Also the line end before the boundary counts; each attempt ends the stream with another size."""
    assert gzip_stream.is_safe(packed) == safe
    assert safe == (b"\r\n\r\n" not in packed + b"\r\n" and b"\r\n--" not in packed)


def test_every_extension_is_written() -> None:
    mask = np.ones((4, 3, 1), bool)
    for extension in EXTENSIONS:
        assert encode_label(mask, Geometry(np.eye(4), mask.shape), extension)
