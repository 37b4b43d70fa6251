"""Volumes as pictures, in any orientation; and pictures as files that the server takes."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from conftest import addVolume, rotation
from VHSAnalyzerLib.exif import orientationOf, upright
from VHSAnalyzerLib.picture import (
    MAX_SIDE,
    Picture,
    PictureError,
    eightBit,
    encoded,
    encodePNG,
    halved,
    withSquarePixels,
)
from VHSAnalyzerLib.volume_picture import gridOf, pictureOf


def decode(content):
    """(height, width, ...) of a PNG, by VTK's reader."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.png"
        path.write_bytes(content)
        reader = vtk.vtkPNGReader()
        reader.SetFileName(str(path))
        reader.Update()
    image = reader.GetOutput()
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1]
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


@pytest.mark.parametrize("shape", [(37, 50), (37, 50, 3), (1, 2), (300, 7, 3)])
def test_png_is_lossless(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert (decode(encodePNG(pixels)) == pixels).all()


@pytest.mark.parametrize("flat", [0, 1, 2])
@pytest.mark.parametrize("degrees", [0, 33])
def test_a_single_slice_in_any_orientation_is_a_picture(scene, flat, degrees):
    pixels = np.random.default_rng(flat).integers(0, 256, (20, 30), np.uint8)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, -1, 2), degrees) @ np.diag([0.5, 0.7, -0.9])
    matrix[:3, 3] = (5, 6, 7)
    array = np.expand_dims(pixels, 2 - flat)
    node = addVolume(scene, array, matrix, "picture")
    assert (pictureOf(node).pixels == pixels).all()
    grid = gridOf(node)
    assert (grid.width, grid.height) == (30, 20)
    # The centre of pixel (4, 9), by the volume's own matrix.
    ijk = {0: (0, 4, 9), 1: (4, 0, 9), 2: (4, 9, 0)}[flat]
    expected = (matrix @ (*ijk, 1))[:3]
    fraction = np.array([[4.5 / 30, 9.5 / 20]])
    assert grid.toRAS(fraction)[0] == pytest.approx(expected)
    assert grid.toFractions([expected])[0] == pytest.approx(fraction[0])


def test_colour_and_alpha_are_understood(scene):
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtk.vtkImageData()
    image.SetDimensions(4, 3, 1)
    rgba = np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8)
    image.GetPointData().SetScalars(numpy_to_vtk(rgba.reshape(-1, 4), deep=True))
    node.SetAndObserveImageData(image)
    assert (pictureOf(node).pixels == rgba[..., :3]).all()


def test_a_ct_is_no_picture(scene):
    with pytest.raises(PictureError, match="has 5 slices"):
        pictureOf(addVolume(scene, np.zeros((5, 6, 7), np.int16), np.eye(4), "CT"))
    with pytest.raises(PictureError, match="no image"):
        pictureOf(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))


def test_inverted_grey_is_seen_as_it_is_shown(scene):
    node = addVolume(scene, np.array([[[0, 100], [200, 255]]], np.uint8), np.eye(4), "inverted")
    colors = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "InvertedGrey")
    node.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    assert pictureOf(node).pixels.tolist() == [[255, 155], [55, 0]]


def test_twelve_bits_are_windowed():
    values = np.linspace(0, 4095, 400 * 400).reshape(400, 400).astype(np.uint16)
    values[0, 0] = 65535  # one hot pixel
    pixels = eightBit(values)
    assert pixels[-1, -1] >= 250
    assert eightBit(np.full((5, 5), 7, np.int16)).max() == 0
    with pytest.raises(PictureError):
        eightBit(np.array([[np.nan]], np.float32))


def test_square_pixels_and_size_stay_true():
    picture = Picture(np.zeros((100, 60), np.uint8), (0.2, 0.1))
    square = withSquarePixels(picture)
    assert square.pixels.shape == (100, 120)
    assert square.sizeMM == pytest.approx(picture.sizeMM)
    tall = withSquarePixels(Picture(np.zeros((100, 60, 3), np.uint8), (0.1, 0.25)))
    assert tall.pixels.shape == (250, 60, 3)


def test_a_large_picture_is_made_smaller_and_its_landmarks_stay():
    pixels = np.zeros((MAX_SIDE + 3, 1001), np.uint8)
    file = encoded(Picture(pixels))
    assert (file.width, file.height) == (501, 2050)
    assert file.reach == pytest.approx((1002 / 1001, 4100 / 4099))
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    small = encoded(Picture(noise), maxBytes=200_000)
    assert len(small.content) <= 200_000
    assert (small.width, small.height) == (200, 200)


def test_a_colour_picture_that_is_grey_is_sent_grey():
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    assert decode(encoded(Picture(np.stack([grey] * 3, axis=-1))).content).ndim == 2


def test_halving_is_the_mean():
    assert halved(np.array([[0, 2], [4, 7]], np.uint8)).tolist() == [[3]]
    assert halved(np.array([[0, 2, 9]], np.uint8)).tolist() == [[1, 9]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation_is_that_of_pillow(tmp_path, orientation, order):
    image = pytest.importorskip("PIL.Image")
    ops = pytest.importorskip("PIL.ImageOps")
    pixels = np.arange(6 * 4, dtype=np.uint8).reshape(4, 6) * 10
    head = b"II*\0" if order == "<" else b"MM\0*"
    tiff = head + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    path = tmp_path / "x.jpg"
    image.fromarray(pixels).save(path, quality=100, exif=b"Exif\0\0" + tiff)
    assert orientationOf(path) == orientation
    stored = np.asarray(image.open(path))
    expected = np.asarray(ops.exif_transpose(image.open(path)))
    assert (upright(stored, orientation) == expected).all()


def test_a_file_without_exif_is_upright(tmp_path):
    for content in (b"", b"\xff\xd8", b"\x89PNG", b"\xff\xd8\xff\xe1\0\x08Exif\0\0"):
        path = tmp_path / "x"
        path.write_bytes(content)
        assert orientationOf(path) == 1
