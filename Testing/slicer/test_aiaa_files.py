"""NIfTI and NRRD in memory against SimpleITK and nibabel, masks onto grids, and multipart replies."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from AIAAClientLib.mask_grid import decodeMask, onGrid
from AIAAClientLib.multipart import FilePart, MultipartForm, parseMultipart
from AIAAClientLib.nifti import FileError, decodeNifti, encodeNifti
from AIAAClientLib.nrrd import decodeNrrd
from conftest import rotation

GRIDS = {
    "straight": np.diag([0.8, 0.9, 2.5, 1.0]),
    "flipped": np.diag([-0.8, -0.9, 2.5, 1.0]),
    "left-handed": np.diag([0.8, -0.9, 2.5, 1.0]),
    "oblique": np.block(
        [[rotation((1, 2, 3), 25) @ np.diag([0.7, 0.9, 3.0]), np.array([[5], [-7], [11.5]])], [0, 0, 0, 1]]
    ),
    "oblique left-handed": np.block(
        [[rotation((2, -1, 1), 140) @ np.diag([0.7, 0.9, -3.0]), np.array([[5], [-7], [11.5]])], [0, 0, 0, 1]]
    ),
    "permuted": np.array([[0, 0, 3.0, 1], [0.7, 0, 0, 2], [0, -0.9, 0, 3], [0, 0, 0, 1]]),
}
TYPES = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.float32)


@pytest.fixture(params=GRIDS, ids=str)
def affine(request):
    return GRIDS[request.param]


def labels(shape=(9, 7, 5)):
    """(i, j, k) with no symmetry."""
    array = np.zeros(shape, np.uint8)
    array[1:4, 2:6, 1:3], array[5:8, 1:3, 2:5], array[8, 6, 4] = 1, 2, 3
    return array


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("packed", [False, True])
def test_a_volume_comes_back_as_it_went(dtype, packed, affine):
    voxels = np.random.default_rng(1).integers(0, 100, (5, 7, 9)).astype(dtype)
    array, found = decodeNifti(encodeNifti(voxels, affine, packed))
    assert array.dtype == dtype
    assert np.array_equal(array.transpose(), voxels)
    assert found == pytest.approx(affine, abs=1e-5)


def test_other_readers_find_the_same_voxels_at_the_same_places(affine, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    voxels = np.random.default_rng(2).integers(-500, 500, (5, 7, 9)).astype(np.int16)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(encodeNifti(voxels, affine, True))
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), voxels)
    for index in ((0, 0, 0), (8, 0, 0), (0, 6, 0), (3, 2, 4)):
        lps = np.array(image.TransformContinuousIndexToPhysicalPoint([float(value) for value in index]))
        assert lps * (-1, -1, 1) == pytest.approx((affine @ [*index, 1])[:3], abs=1e-3)


def test_qform_alone_says_the_same_as_sform(affine):
    content = bytearray(encodeNifti(labels().transpose(), affine, False))
    content[254:256] = b"\0\0"  # sform_code
    _, found = decodeNifti(bytes(content))
    assert found == pytest.approx(affine, abs=1e-4)


@pytest.mark.parametrize(
    ("dtype", "values", "wanted"),
    [
        (bool, [0, 1], np.uint8),
        (np.int64, [-5, 70000], np.int32),
        (np.int64, [0, 2**40], np.float64),
        (np.float64, [0.5, 2.25], np.float32),
    ],
)
def test_types_that_few_readers_know_are_sent_as_others(dtype, values, wanted):
    voxels = np.array(values, dtype=dtype).reshape(1, 1, 2)
    array, _ = decodeNifti(encodeNifti(voxels, np.eye(4), False))
    assert array.dtype == wanted
    assert array.ravel().tolist() == values


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".nii"])
def test_masks_written_by_itk_are_read(suffix, affine, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(labels().transpose())
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    path = tmp_path / f"mask{suffix}"
    sitk.WriteImage(image, str(path), suffix == ".nrrd")
    array, found = decodeMask(path.read_bytes())
    assert np.array_equal(array, labels())
    assert found == pytest.approx(affine, abs=1e-4)


def test_a_raw_big_endian_nrrd_is_read():
    header = b"NRRD0005\n# a comment\ntype: ushort\ndimension: 3\nsizes: 2 3 1\nspace: RAS\nendian: big\n"
    header += b"encoding: raw\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (4,5,6)\nkey:=value\n\n"
    values = np.arange(6, dtype=">u2")
    array, affine = decodeNrrd(header + values.tobytes())
    assert array.ravel(order="F").tolist() == list(range(6))
    assert affine == pytest.approx(np.array([[1, 0, 0, 4], [0, 2, 0, 5], [0, 0, 3, 6], [0, 0, 0, 1.0]]))


@pytest.mark.parametrize(
    "content",
    [b"", b"NRRD", b"NRRD0004\n\n", b"<html>", b"\x1f\x8bnothing", gzip.compress(b"x" * 400), b"\0" * 400],
)
def test_what_is_no_mask_is_refused_with_a_sentence(content):
    with pytest.raises(FileError, match=r"\.$"):
        decodeMask(content)


def test_a_file_that_is_cut_off_is_refused():
    whole = encodeNifti(labels().transpose(), np.eye(4), False)
    with pytest.raises(FileError, match="cut off"):
        decodeNifti(whole[:-1])


# ---- grids


def test_a_mask_on_the_same_grid_stays_as_it_is(affine):
    result = onGrid(labels(), affine, affine, (9, 7, 5))
    assert result.dtype == np.uint8
    assert np.array_equal(result, labels().transpose())


def test_a_mask_that_was_turned_is_turned_back(affine):
    """Servers that bring images into RAS order may answer in that order."""
    for axes, flips in (((2, 0, 1), (0, 2)), ((1, 0, 2), (1,)), ((0, 1, 2), (0, 1, 2))):
        turned = np.flip(labels().transpose(axes), flips)
        toOriginal = np.zeros((4, 4))
        toOriginal[3, 3] = 1
        for new, old in enumerate(axes):
            toOriginal[old, new] = -1 if new in flips else 1
            toOriginal[old, 3] += labels().shape[old] - 1 if new in flips else 0
        result = onGrid(turned, affine @ toOriginal, affine, (9, 7, 5))
        assert np.array_equal(result, labels().transpose())


def test_a_part_or_a_finer_mask_is_put_where_it_belongs(affine):
    part = labels()[2:8, 1:6, 1:4]
    moved = affine.copy()
    moved[:3, 3] = (affine @ [2, 1, 1, 1])[:3]
    wanted = np.zeros_like(labels())
    wanted[2:8, 1:6, 1:4] = part
    assert np.array_equal(onGrid(part, moved, affine, (9, 7, 5)), wanted.transpose())
    finer = affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    finer[:3, 3] = (affine @ [-0.25, -0.25, -0.25, 1])[:3]
    fine = labels().repeat(2, 0).repeat(2, 1).repeat(2, 2)
    assert np.array_equal(onGrid(fine, finer, affine, (9, 7, 5)), labels().transpose())


def test_a_geometry_that_got_lost_is_the_volumes():
    affine = GRIDS["oblique"]
    assert np.array_equal(onGrid(labels(), np.eye(4), affine, (9, 7, 5)), labels().transpose())
    assert np.array_equal(onGrid(labels().transpose(), np.eye(4), affine, (9, 7, 5)), labels().transpose())


def test_more_than_255_labels():
    wide = labels().astype(np.float32) * 300
    result = onGrid(wide, np.eye(4), np.eye(4), (9, 7, 5))
    assert result.dtype == np.uint16
    assert result.max() == 900


@pytest.mark.parametrize("values", [[-1.0], [70000.0], [np.nan]])
def test_values_that_are_no_labels_are_refused(values):
    with pytest.raises(FileError, match="no labels"):
        onGrid(np.array(values).reshape(1, 1, 1), np.eye(4), np.eye(4), (1, 1, 1))


def test_a_mask_of_another_place_is_refused():
    away = np.eye(4)
    away[:3, 3] = 1000
    with pytest.raises(FileError, match="somewhere else"):
        onGrid(labels(), away, np.eye(4), (9, 7, 5))


# ---- multipart


def reply(parts, boundary="b0", end=b"--\r\n"):
    body = b""
    for headers, content in parts:
        body += f"--{boundary}\r\n".encode() + "".join(f"{line}\r\n" for line in headers).encode() + b"\r\n"
        body += content + b"\r\n"
    return body + f"--{boundary}".encode() + end


PARAMS = (['Content-Disposition: form-data; name="params"', "Content-Type: application/json"], b'{"a": 1}')


def test_parts_are_found_whatever_their_bytes():
    nasty = b"\r\n--b0x\r\n\r\n--b0 \r\n--other\r\n--b\r\n" + bytes(range(256))
    headers = ['content-disposition: form-data; name="image"; filename="a b.nii.gz"', f"Content-Length: {len(nasty)}"]
    found = parseMultipart(reply([PARAMS, (headers, nasty)]), 'multipart/form-data; boundary="b0"')
    assert [(part.name, part.filename) for part in found] == [("params", ""), ("image", "a b.nii.gz")]
    assert found[0].content == b'{"a": 1}'
    assert found[1].content == nasty


def test_a_mask_that_ends_with_a_line_break_keeps_it():
    headers = ["Content-Disposition: form-data; name=image; filename=m.nii"]
    found = parseMultipart(reply([(headers, b"mask\r\n"), (headers, b"")]), "multipart/form-data;boundary=b0")
    assert [part.content for part in found] == [b"mask\r\n", b""]
    assert found[0].filename == "m.nii"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"anything", "multipart/form-data"),
        (b"anything", "multipart/form-data; boundary=b0"),
        (reply([PARAMS])[:-20], "multipart/form-data; boundary=b0"),
        (b"--b0\r\nContent-Disp", "multipart/form-data; boundary=b0"),
    ],
)
def test_a_reply_that_is_none_is_refused(body, kind):
    with pytest.raises(FileError, match="reply"):
        parseMultipart(body, kind)


def test_a_form_says_its_length_and_can_be_sent_again():
    said = []
    file = FilePart("image", "image.nii", bytes(3_000_000))
    form = MultipartForm({"params": "{}"}, (file,), progress=said.append)
    first, second = b"".join(form), b"".join(form)
    assert first == second
    assert len(first) == len(form)
    assert said[0] == "Sending the volume: 0 of 3 MB."
    assert said[-1] == "The server is working."
    found = parseMultipart(first, form.headers["Content-Type"])
    assert [(part.name, part.filename, len(part.content)) for part in found] == [
        ("params", "", 2),
        ("image", "image.nii", 3_000_000),
    ]
