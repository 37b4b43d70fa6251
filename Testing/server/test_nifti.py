"""NIfTI files read and written, with nibabel as an independent reader and writer."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imeasure_server.imaging.nifti import NiftiError, read_nifti, write_nifti
from imeasure_server.imaging.volume import LPS_TO_RAS, FloatArray, Geometry

SHAPE = (5, 7, 4)
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
MODEST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def lps_affines(draw: st.DrawFn) -> FloatArray:
    """Anisotropic grids: along the axes in any order and direction, or oblique, right- or left-handed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        directions = random.permutation(np.diag(random.choice([-1.0, 1.0], 3)))
    else:
        directions = np.linalg.qr(random.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = directions * random.uniform(0.3, 6.0, 3)
    affine[:3, 3] = random.uniform(-500, 500, 3)
    return affine


def numbers(dtype: str) -> npt.NDArray[Any]:
    return np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)


def save(path: Path, array: npt.NDArray[Any], ras_affine: FloatArray, **qform: Any) -> None:
    image = nib.Nifti1Image(array, ras_affine)
    if qform:
        image.set_qform(**qform)
    nib.save(image, path)


@MODEST
@given(affine=lps_affines(), dtype=st.sampled_from(TYPES), suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_nibabel_reads_what_we_write(tmp_path: Path, affine: FloatArray, dtype: str, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    write_nifti(path, numbers(dtype), Geometry(affine, SHAPE))

    image = nib.load(path)

    assert image.affine == pytest.approx(LPS_TO_RAS @ affine, abs=2e-4)
    assert image.get_qform() == pytest.approx(LPS_TO_RAS @ affine, abs=2e-4)
    assert image.get_data_dtype() == np.dtype(dtype)
    assert np.array_equal(np.asanyarray(image.dataobj), numbers(dtype))


@MODEST
@given(affine=lps_affines(), dtype=st.sampled_from(TYPES), suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_we_read_what_nibabel_writes(tmp_path: Path, affine: FloatArray, dtype: str, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    save(path, numbers(dtype), LPS_TO_RAS @ affine)

    volume = read_nifti(path)

    assert volume.geometry.affine == pytest.approx(affine, abs=2e-4)
    assert volume.array.dtype == np.dtype(dtype)
    assert np.array_equal(volume.array, numbers(dtype))


def test_a_voxel_lies_where_nibabel_says(tmp_path: Path) -> None:
    affine = np.array([[0, -2.5, 0, 30], [0.8, 0, 0, -12], [0, 0, 4.0, 7], [0, 0, 0, 1]])  # RAS, x and y swapped
    save(tmp_path / "image.nii", numbers("int16"), affine)

    right, anterior, superior = nib.affines.apply_affine(affine, (1, 5, 3))

    world = read_nifti(tmp_path / "image.nii").geometry.to_world((1, 5, 3))
    assert world == pytest.approx((-right, -anterior, superior), abs=1e-5)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (2.0, 0.0), (0.1, 3.5), (-0.5, 0.0), (0.0, 0.0)])
def test_scaled_values(tmp_path: Path, slope: float, intercept: float) -> None:
    image = nib.Nifti1Image(numbers("int16"), np.eye(4))
    image.header.set_slope_inter(slope or 1.0, intercept)
    nib.save(image, tmp_path / "image.nii")
    if slope == 0:  # "not scaled"; nibabel does not write it
        with (tmp_path / "image.nii").open("r+b") as file:
            file.seek(112)
            file.write(np.float32([0, 5]).tobytes())

    expected = nib.load(tmp_path / "image.nii").get_fdata()

    assert read_nifti(tmp_path / "image.nii").array == pytest.approx(expected, abs=1e-4)


def test_a_mask_becomes_bytes(tmp_path: Path) -> None:
    mask = numbers("int16") % 3 == 0
    write_nifti(tmp_path / "mask.nii.gz", mask, Geometry(np.eye(4), SHAPE))

    array = np.asanyarray(nib.load(tmp_path / "mask.nii.gz").dataobj)

    assert array.dtype == np.uint8
    assert np.array_equal(array, mask)


@pytest.mark.parametrize("shape", [(5, 7, 1), (1, 7, 4), (5, 7, 4, 1)])
def test_flat_images_and_a_series_of_one_are_3d(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save(tmp_path / "image.nii", np.ones(shape, dtype=np.int16), np.eye(4))

    assert read_nifti(tmp_path / "image.nii").array.shape == shape[:3]


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((5, 7, 4, 3), "int16", "series of 3 images"),
        ((5, 7), "int16", "2D image"),
        ((5, 7, 4, 1, 3), "float32", "series of 3 images"),
        (SHAPE, "complex64", "one value a voxel"),
    ],
)
def test_other_images_are_refused(tmp_path: Path, shape: tuple[int, ...], dtype: str, words: str) -> None:
    save(tmp_path / "image.nii", np.ones(shape, dtype=dtype), np.eye(4))

    with pytest.raises(NiftiError, match=words):
        read_nifti(tmp_path / "image.nii")


def test_a_vector_image_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((5, 7, 4, 1, 3), dtype=np.float32), np.eye(4))
    image.header.set_intent("vector")
    nib.save(image, tmp_path / "image.nii")

    with pytest.raises(NiftiError, match="one value a voxel"):
        read_nifti(tmp_path / "image.nii")


@pytest.mark.parametrize("with_quaternion", [False, True])
def test_a_sheared_image_is_refused(tmp_path: Path, with_quaternion: bool) -> None:
    affine = np.eye(4)
    affine[0, 2] = 0.3
    save(
        tmp_path / "image.nii",
        numbers("int16"),
        affine,
        **({"affine": np.eye(4), "code": 1} if with_quaternion else {}),
    )

    with pytest.raises(NiftiError, match="sheared"):
        read_nifti(tmp_path / "image.nii")


def test_a_sheared_image_is_not_written(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 2] = 0.3
    with pytest.raises(NiftiError, match="sheared"):
        write_nifti(tmp_path / "image.nii", numbers("int16"), Geometry(affine, SHAPE))
    assert not (tmp_path / "image.nii").exists()


def test_a_namesake_of_another_kind_beside_the_file_is_not_read(tmp_path: Path) -> None:
    save(tmp_path / "image.nii", np.zeros(SHAPE, dtype=np.int16), np.eye(4))
    save(tmp_path / "image.nii.gz", numbers("int16"), np.eye(4))

    assert np.array_equal(read_nifti(tmp_path / "image.nii.gz").array, numbers("int16"))
    assert not read_nifti(tmp_path / "image.nii").array.any()


def test_files_that_are_no_images(tmp_path: Path) -> None:
    whole = tmp_path / "whole.nii.gz"
    write_nifti(whole, np.random.default_rng(0).integers(0, 2000, (20, 20, 20)), Geometry(np.eye(4), (20, 20, 20)))
    (tmp_path / "cut.nii.gz").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "cut.nii").write_bytes(gzip.decompress(whole.read_bytes())[:2000])
    (tmp_path / "text.nii").write_text("not an image")
    (tmp_path / "text.nii.gz").write_text("not an image")
    (tmp_path / "empty.nii.gz").write_bytes(b"")

    for name in ("cut.nii.gz", "cut.nii", "text.nii", "text.nii.gz", "empty.nii.gz"):
        with pytest.raises(NiftiError, match="damaged") as caught:
            read_nifti(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(NiftiError, match=r"\.nii\.gz"):
        read_nifti(tmp_path / "image.png")
    with pytest.raises(FileNotFoundError, match=r"no file absent\.nii"):
        read_nifti(tmp_path / "absent.nii")
    with pytest.raises(OSError, match="cannot be written"):
        write_nifti(tmp_path / "absent" / "image.nii", numbers("int16"), Geometry(np.eye(4), SHAPE))
    with pytest.raises(ValueError, match="shape"):
        write_nifti(tmp_path / "image.nii", numbers("int16"), Geometry(np.eye(4), (1, 2, 3)))
