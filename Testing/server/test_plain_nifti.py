"""NIfTI files whose voxels are copied as they lie: the same image as the careful reader's, or left to it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imeasure_server.imaging.decoded_image import VOXELS
from imeasure_server.imaging.image_files import decode_image
from imeasure_server.imaging.nifti import read_nifti
from imeasure_server.imaging.plain_nifti import copy_plain_nifti
from imeasure_server.imaging.volume import LPS_TO_RAS, FloatArray

nib: Any = nibabel  # untyped
SHAPE = (5, 7, 4)
MODEST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def numbers(dtype: str, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[Any]:
    return (np.arange(np.prod(shape)) % 120).reshape(shape).astype(dtype)


def image(dtype: str = "int16", affine: FloatArray | None = None) -> Any:
    return nib.Nifti1Image(numbers(dtype), np.diag([0.5, 0.7, 3, 1]) if affine is None else affine)


def copied(tmp_path: Path, content: bytes, suffix: str = ".nii") -> tuple[FloatArray, npt.NDArray[Any]] | None:
    """Affine and voxels, or None when the file is left to the careful reader."""
    path = tmp_path / f"image{suffix}"
    path.write_bytes(gzip.compress(content, 1) if suffix == ".nii.gz" else content)
    geometry = copy_plain_nifti(path, tmp_path)
    if geometry is None:
        assert not (tmp_path / VOXELS).exists()
        return None
    voxels = np.load(tmp_path / VOXELS)
    assert voxels.flags.f_contiguous
    return geometry.affine, voxels


def lps_affine(seed: int, oblique: bool) -> FloatArray:
    """An anisotropic grid, right- or left-handed."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.normal(size=(3, 3)))[0] if oblique else np.diag(random.choice([-1.0, 1.0], 3))
    affine = np.eye(4)
    affine[:3, :3] = random.permutation(directions) * random.uniform(0.3, 6.0, 3)
    affine[:3, 3] = random.uniform(-500, 500, 3)
    return affine


@MODEST
@given(
    affine=st.builds(lps_affine, st.integers(0, 2**32 - 1), st.booleans()),
    dtype=st.sampled_from(["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32"]),
    suffix=st.sampled_from([".nii", ".nii.gz"]),
    quaternion=st.booleans(),
)
def test_the_same_image(tmp_path: Path, affine: FloatArray, dtype: str, suffix: str, quaternion: bool) -> None:
    made = image(dtype, LPS_TO_RAS @ affine)
    if quaternion:
        made.set_qform(LPS_TO_RAS @ affine, 1)
    found = copied(tmp_path, made.to_bytes(), suffix)
    assert found is not None
    expected = read_nifti(tmp_path / f"image{suffix}")
    assert found[0] == pytest.approx(expected.geometry.affine, abs=2e-4)
    assert found[0] == pytest.approx(affine, abs=2e-4)
    assert found[1].dtype == np.dtype(dtype)
    assert np.array_equal(found[1], expected.array)


def test_most_files_are_copied_wherever_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imeasure_server.imaging.plain_nifti._BLOCK", 100)
    monkeypatch.setattr("imeasure_server.imaging.gzip_stream._BLOCK", 25)
    header = image().header.copy()
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = 416, 1, 0
    content = image().to_bytes()
    moved = header.binaryblock + bytes(416 - len(header.binaryblock)) + content[352:] + b"trailing"
    for whole in (content, moved):
        for suffix in (".nii", ".nii.gz"):
            found = copied(tmp_path, whole, suffix)
            assert found is not None
            assert np.array_equal(found[1], numbers("int16"))


def field(name: str, value: Any) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        made.header[name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made.header.set_slope_inter(2, 0),
        lambda made: made.header.set_slope_inter(1, -1024),
        lambda made: made.header.set_xyzt_units("micron"),
        lambda made: made.set_sform(np.eye(4), 0),
        lambda made: made.set_sform(made.affine + np.diag([0, 0, 0, 0]) + np.eye(4, k=1), 1),
        lambda made: made.set_qform(np.diag([0.5, 0.7, 3, 1]) @ np.diag([-1, -1, 1, 1]), 1),
        lambda made: made.set_qform(made.affine + np.eye(4)[:, [3, 1, 2, 0]] * 2, 1),
        field("pixdim", [1, 1, 0.7, 3, 0, 0, 0, 0]),
    ],
    ids=["scaled", "shifted", "micrometres", "no sform", "sheared", "turned", "moved", "spacing"],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_careful_reader(
    tmp_path: Path, change: Callable[[Any], None]
) -> None:
    made = image()
    change(made)
    assert copied(tmp_path, made.to_bytes()) is None


@pytest.mark.parametrize("place", [80, 256, 268, 280, 292])
def test_so_are_headers_without_numbers(tmp_path: Path, place: int) -> None:
    made = image()
    made.set_qform(made.affine, 1)
    content = bytearray(made.to_bytes())
    content[place : place + 4] = np.float32(np.nan).tobytes()
    assert copied(tmp_path, bytes(content)) is None


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_so_are_types_that_are_not_kept(tmp_path: Path, dtype: str) -> None:
    assert copied(tmp_path, image(dtype).to_bytes()) is None


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_and_values_that_are_no_numbers(tmp_path: Path, suffix: str) -> None:
    array = numbers("float32")
    array[1, 2, 3] = np.nan
    content = nib.Nifti1Image(array, np.eye(4)).to_bytes()
    assert copied(tmp_path, content, suffix) is None
    folder = tmp_path / "decoded"
    folder.mkdir()
    decode_image(tmp_path / f"image{suffix}", "image.nii", folder)
    assert np.isfinite(np.load(folder / VOXELS)).all()


@pytest.mark.parametrize("shape", [(5, 7, 4, 1), (5, 7, 4, 3), (5, 7)])
def test_and_other_numbers_of_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert copied(tmp_path, nib.Nifti1Image(numbers("int16", shape), np.eye(4)).to_bytes()) is None


def test_and_big_endian_files(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    content = nib.Nifti1Image(numbers("int16"), np.eye(4), header).to_bytes()
    assert copied(tmp_path, content) is None


def test_damaged_files_leave_nothing(tmp_path: Path) -> None:
    content = image().to_bytes()
    assert copied(tmp_path, content[:-1]) is None
    assert copied(tmp_path, content[:100]) is None
    assert copied(tmp_path, b"") is None
    assert copied(tmp_path, content + bytes(2 << 20), ".nii.gz") is None
    packed = bytearray(gzip.compress(content))
    for damage in (packed[:-9], packed[:-8] + bytes(8), packed[:40] + bytes(20) + packed[60:]):
        (tmp_path / "image.nii.gz").write_bytes(damage)
        assert copy_plain_nifti(tmp_path / "image.nii.gz", tmp_path) is None
        assert not (tmp_path / VOXELS).exists()
