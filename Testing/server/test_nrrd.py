"""NRRD files of other programs, with SimpleITK as an independent reader."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.nrrd import read_nrrd
from phantoms.shapes import rotation_matrix

SHAPE = (6, 5, 4)
VALUES = np.arange(120).reshape(SHAPE, order="F")


def nrrd(fields: dict[str, str | None] | None = None, data: bytes | None = None) -> bytes:
    """A file of int16 values; ``fields`` change its header, None leaves one out."""
    lines: dict[str, str | None] = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "6 5 4",
        "space directions": "(0.5,0,0) (0,0.6,0) (0,0,2)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(1,-2,3.5)",
        **(fields or {}),
    }
    header = "NRRD0004\n# made by hand\n" + "".join(f"{k}: {v}\n" for k, v in lines.items() if v is not None) + "\n"
    return header.encode() + (VALUES.astype("<i2").tobytes(order="F") if data is None else data)


def check_by_itk(path: Path) -> None:
    ours = read_nrrd(path, "a.nrrd").volume
    image = sitk.ReadImage(str(path), imageIO="NrrdImageIO")
    theirs = sitk.GetArrayFromImage(image).T
    assert np.array_equal(ours.array, theirs)
    assert ours.array.dtype == theirs.dtype
    for index in [(0, 0, 0), tuple(length - 1 for length in ours.array.shape)]:
        assert ours.geometry.to_world(index) == pytest.approx(image.TransformIndexToPhysicalPoint(index), abs=1e-9)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_writes(tmp_path: Path, dtype: str, compressed: bool) -> None:
    random = np.random.default_rng(1)
    image = sitk.GetImageFromArray(np.ascontiguousarray(random.integers(0, 100, SHAPE).astype(dtype).T))
    image.SetOrigin(random.uniform(-300, 300, 3).tolist())
    image.SetSpacing(random.uniform(0.3, 4, 3).tolist())
    image.SetDirection((rotation_matrix(random) * [1, 1, -1]).reshape(-1).tolist())
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"), useCompression=compressed)

    check_by_itk(tmp_path / "a.nrrd")


VARIANTS: dict[str, tuple[dict[str, str | None], bytes | None]] = {
    "as it is": ({}, None),
    "RAS": ({"space": "right-anterior-superior"}, None),
    "LAS": ({"space": "left-anterior-superior"}, None),
    "big-endian": ({"endian": "big"}, VALUES.astype(">i2").tobytes(order="F")),
    "gzip": ({"encoding": "gzip"}, gzip.compress(VALUES.astype("<i2").tobytes(order="F"))),
    "text": ({"encoding": "ascii"}, " ".join(str(value) for value in VALUES.reshape(-1, order="F")).encode()),
    "no kinds": ({"kinds": None}, None),
    "oblique": ({"space directions": "(0.3,0.4,0) (-0.8,0.6,0) (0,0,-2)"}, None),
    "spacings only": ({"space": None, "space directions": None, "space origin": None, "spacings": "2 3 4"}, None),
    "nothing of its place": ({"space": None, "space directions": None, "space origin": None}, None),
    "other spelling": ({"type": "int16", "encoding": "RAW"}, None),
    "bytes skipped": ({"byte skip": "7"}, b"1234567" + VALUES.astype("<i2").tobytes(order="F")),
    "from the end": ({"byte skip": "-1"}, b"1234567" + VALUES.astype("<i2").tobytes(order="F")),
    "lines skipped": ({"line skip": "2"}, b"a\nb\n" + VALUES.astype("<i2").tobytes(order="F")),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_the_format(tmp_path: Path, variant: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(nrrd(*VARIANTS[variant]))

    check_by_itk(tmp_path / "a.nrrd")


def test_windows_line_ends_and_key_value_pairs(tmp_path: Path) -> None:
    head, data = nrrd().split(b"\n\n", 1)
    head += b"\nSegment0_Name:=left: lung\nnote:=a:=b"
    (tmp_path / "a.nrrd").write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + data)

    found = read_nrrd(tmp_path / "a.nrrd", "a.nrrd")

    assert np.array_equal(found.volume.array, VALUES)
    assert found.pairs == {"Segment0_Name": "left: lung", "note": "a:=b"}


def test_a_flat_image_is_one_slice(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"dimension": "2", "sizes": "6 20", "space": None, "space origin": None, "kinds": None}
    (tmp_path / "a.nrrd").write_bytes(nrrd({**fields, "space directions": None}))

    assert read_nrrd(tmp_path / "a.nrrd", "a.nrrd").volume.array.shape == (6, 20, 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"data file": "/etc/passwd"}, "keeps its voxels in another file"),
        ({"datafile": "LIST"}, "keeps its voxels in another file"),
        ({"space directions": "(0.5,0,0.2) (0,0.6,0) (0,0,2)"}, "not perpendicular"),
        ({"dimension": "4", "sizes": "1 6 5 4", "kinds": "list domain domain domain"}, "one value a voxel"),
        ({"kinds": "vector domain domain"}, "one value a voxel"),
        ({"encoding": "bzip2"}, "save it as raw or gzip"),
        ({"type": "block"}, "type block"),
        ({"sizes": "6 5"}, "damaged"),
        ({"sizes": "6 5 -4"}, "damaged"),
        ({"sizes": "60000 50000 40000"}, "at most 1024 million"),
        ({"sizes": None}, "damaged"),
        ({"space directions": "(0,0,0) (0,1,0) (0,0,1)"}, "damaged"),
        ({"space directions": "(nan,0,0) (0,1,0) (0,0,1)"}, "damaged"),
        ({"encoding": "gzip"}, "damaged"),
        ({"byte skip": "-5"}, "damaged"),
        ({"byte skip": "x"}, "damaged"),
    ],
)
def test_what_is_refused(tmp_path: Path, fields: dict[str, str | None], words: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(nrrd(fields))

    with pytest.raises(ImageError, match=words):
        read_nrrd(tmp_path / "a.nrrd", "a.nrrd")


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_files_cut_off_or_changed_anywhere(tmp_path: Path, encoding: str) -> None:
    plain = VALUES.astype("<i2").tobytes(order="F")
    content = nrrd({"encoding": encoding}, gzip.compress(plain) if encoding == "gzip" else None)
    for cut in range(len(content)):
        (tmp_path / "a.nrrd").write_bytes(content[:cut])
        with pytest.raises(ImageError):
            read_nrrd(tmp_path / "a.nrrd", "a.nrrd")
    random = np.random.default_rng(2)
    for _ in range(300):
        broken = bytearray(content)
        for at in random.integers(9, len(content), 3):
            broken[at] = random.integers(256)
        (tmp_path / "a.nrrd").write_bytes(broken)
        try:
            read_nrrd(tmp_path / "a.nrrd", "a.nrrd")
        except ImageError as error:
            assert str(error).endswith(".")  # noqa: PT017
