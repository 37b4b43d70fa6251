"""JPEG and PNG pictures of every kind, read as a person would see them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from imeasure_server.imaging.picture_header import MAX_PIXELS
from imeasure_server.imaging.pictures import (
    PictureError,
    PictureTooLarge,
    UnsupportedPicture,
    inspect_picture,
    read_picture,
    to_eight_bits,
    write_jpeg,
    write_png,
)

HEIGHT, WIDTH = 24, 36
GREY = np.add.outer(np.arange(HEIGHT) * 5, np.arange(WIDTH) * 3).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def saved(image: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_16_bits(values: NDArray[Any]) -> bytes:
    """Grey, RGB, or RGBA (OpenCV writes blue first)."""
    if values.ndim == 3:
        values = np.concatenate([values[:, :, 2::-1], values[:, :, 3:]], axis=2)
    return cv2.imencode(".png", values.astype(np.uint16))[1].tobytes()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of_size(width: int, height: int) -> bytes:
    """A whole header and hardly any data: what a decompression bomb is, or less."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int, bits: int = 8) -> bytes:
    frame = struct.pack(">BHHB", bits, height, width, 1) + bytes([1, 0x11, 0])
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame + b"\xff\xda\x00\x02\xff\xd9"


# Modes of a file


def test_grey_and_colour_are_kept() -> None:
    assert np.array_equal(read_picture(saved(GREY)), GREY)
    assert np.array_equal(read_picture(saved(COLOUR)), COLOUR)


def test_jpeg_is_grey_or_colour_to_within_its_compression() -> None:
    grey, colour = (read_picture(saved(picture, "JPEG", quality=98)) for picture in (GREY, COLOUR))

    assert grey.shape == GREY.shape
    assert np.abs(grey.astype(int) - GREY).max() <= 4
    assert colour.shape == COLOUR.shape
    assert np.abs(colour.astype(int) - COLOUR).mean() <= 4


def test_progressive_jpeg_and_cmyk() -> None:
    progressive = read_picture(saved(GREY, "JPEG", quality=98, progressive=True))
    cmyk = read_picture(saved(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=98))

    assert np.abs(progressive.astype(int) - GREY).max() <= 4
    assert cmyk.shape == COLOUR.shape
    assert np.abs(cmyk.astype(int) - COLOUR).mean() <= 6


def test_one_bit_and_two_bits() -> None:
    black_and_white = np.where(GREY > 100, 255, 0).astype(np.uint8)
    two_bits = Image.fromarray(GREY // 86).convert("P")  # a palette of few colours is stored with two bits
    two_bits.putpalette([0, 0, 0, 90, 90, 90, 200, 200, 200])

    assert np.array_equal(read_picture(saved(Image.fromarray(black_and_white).convert("1"))), black_and_white)
    assert np.array_equal(read_picture(saved(two_bits, bits=2))[:, :, 0], np.array([0, 90, 200])[GREY // 86])


def test_palette_gives_its_colours() -> None:
    palette = Image.fromarray(GREY).convert("P", palette=Image.Palette.ADAPTIVE)

    assert np.array_equal(read_picture(saved(palette)), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("picture", [GREY, COLOUR], ids=["grey", "colour"])
def test_transparency_is_seen_over_black(picture: NDArray[Any]) -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 128
    image = Image.fromarray(picture)
    image.putalpha(Image.fromarray(alpha))

    read = read_picture(saved(image))

    assert read.shape == picture.shape
    assert (read[:, :10] == 0).all()
    assert np.abs(read[:, 10:20].astype(int) - picture[:, 10:20] * (128 / 255)).max() <= 1
    assert np.array_equal(read[:, 20:], picture[:, 20:])


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_one_transparent_colour(mode: str) -> None:
    image = Image.new(mode, (4, 4), color=200 if mode != "RGB" else (200, 10, 10))
    image.putpixel((0, 0), 7 if mode != "RGB" else (7, 7, 7))

    read = read_picture(saved(image, transparency=200 if mode != "RGB" else (200, 10, 10)))

    assert (read[1:, 1:] == 0).all()


def test_the_first_frame_of_an_animation() -> None:
    animation = saved(COLOUR, save_all=True, append_images=[Image.fromarray(255 - COLOUR)], duration=100)

    assert np.array_equal(read_picture(animation), COLOUR)


# 16 bits


def test_eight_bits_spread_over_sixteen_come_back_exactly() -> None:
    assert np.array_equal(read_picture(png_of_16_bits(GREY.astype(int) * 257)), GREY)
    assert np.array_equal(read_picture(png_of_16_bits(COLOUR.astype(int) * 257)), COLOUR)


def test_eight_bits_in_the_lower_byte_stay_what_they_are() -> None:
    assert np.array_equal(read_picture(png_of_16_bits(GREY)), GREY)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_detectors_bits_fill_the_range(bits: int) -> None:
    values = np.rint(GREY / GREY.max() * ((1 << bits) - 1))

    read = read_picture(png_of_16_bits(values))

    assert read == pytest.approx(np.rint(GREY / GREY.max() * 255), abs=1)


def test_raw_values_in_a_narrow_range_are_stretched() -> None:
    read = read_picture(png_of_16_bits(20_000 + GREY.astype(int) * 10))

    assert int(read.min()) == 0
    assert int(read.max()) == 255
    assert np.corrcoef(read.reshape(-1), GREY.reshape(-1))[0, 1] > 0.999


def test_a_few_hot_pixels_do_not_darken_the_picture() -> None:
    values = np.tile(np.linspace(0, 4095, 4000), (10, 1)).astype(np.uint16)
    values[0, :3] = 65535

    assert to_eight_bits(values)[1] == pytest.approx(np.linspace(0, 255, 4000), abs=1)


@pytest.mark.parametrize("value", [0, 77, 3000, 65535])
def test_a_constant_picture_is_constant(value: int) -> None:
    assert np.unique(to_eight_bits(np.full((9, 9), value, np.uint16))).size == 1


def test_sixteen_bits_with_transparency() -> None:
    values = np.concatenate([COLOUR, np.full((HEIGHT, WIDTH, 1), 255)], axis=2) * 257
    values[:, :10, 3] = 0

    read = read_picture(png_of_16_bits(values))

    assert (read[:, :10] == 0).all()
    assert np.array_equal(read[:, 10:], COLOUR[:, 10:])


def test_sixteen_bits_of_grey_with_transparency() -> None:
    rows = np.stack([GREY.astype(">u2") * 257, np.full_like(GREY, 255, dtype=">u2") * 257], axis=-1).astype(">u2")
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 4, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")

    assert np.array_equal(read_picture(content), GREY)


# Orientation


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    """The file is made by undoing each orientation's definition: which edges of the scene rows and columns start at."""
    stored = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: np.rot90(GREY, 1),
        7: GREY[::-1, ::-1].T,
        8: np.rot90(GREY, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98} if kind == "JPEG" else {}

    read = read_picture(saved(np.ascontiguousarray(stored), kind, exif=exif, **options))

    assert read.shape == GREY.shape
    assert np.abs(read.astype(int) - GREY).max() <= (0 if kind == "PNG" else 4)


def test_exif_orientation_of_sixteen_bits() -> None:
    content = png_of_16_bits(np.rot90(GREY, 1).astype(int) * 257)
    exif = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    assert content[12:16] == b"IHDR"
    content = content[:33] + png_chunk(b"eXIf", exif) + content[33:]

    assert np.array_equal(read_picture(content), GREY)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_spoils_no_picture() -> None:
    content = saved(GREY, "JPEG", quality=98, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff garbage")

    assert np.abs(read_picture(content).astype(int) - GREY).max() <= 4


def test_an_orientation_that_does_not_exist_is_none() -> None:
    exif = Image.Exif()
    exif[0x0112] = 42

    assert np.array_equal(read_picture(saved(GREY, exif=exif)), GREY)


# Headers and refusals


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_header_tells_kind_and_size(kind: str) -> None:
    header = inspect_picture(saved(COLOUR, kind))

    assert (header.format, header.width, header.height, header.bits) == (kind, WIDTH, HEIGHT, 8)


def test_the_size_is_not_the_thumbnails() -> None:
    exif = b"Exif\x00\x00" + jpeg_of_size(16, 16)

    assert inspect_picture(saved(GREY, "JPEG", exif=exif)).width == WIDTH


@pytest.mark.parametrize("make", [png_of_size, jpeg_of_size], ids=["PNG", "JPEG"])
def test_decompression_bombs_are_refused_by_their_header(make: Any) -> None:
    side = 65_000
    with pytest.raises(PictureTooLarge, match="65000 × 65000 pixels"):
        inspect_picture(make(side, side))
    with pytest.raises(PictureTooLarge, match="64 million"):
        read_picture(make(side, side))


def test_the_limit_is_the_number_of_pixels() -> None:
    assert inspect_picture(png_of_size(MAX_PIXELS // 8000, 8000)).height == 8000
    with pytest.raises(PictureTooLarge):
        inspect_picture(png_of_size(MAX_PIXELS // 8000 + 1, 8000))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "JPEG2000"])
def test_other_kinds_are_unsupported(kind: str) -> None:
    for use in (inspect_picture, read_picture):
        with pytest.raises(UnsupportedPicture, match="neither a JPEG nor a PNG"):
            use(saved(COLOUR, kind))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"%PDF-1.7", b"<svg/>", bytes(200)])
def test_what_is_no_picture_is_unsupported(content: bytes) -> None:
    with pytest.raises(UnsupportedPicture):
        inspect_picture(content)


def test_twelve_bit_jpeg_is_named() -> None:
    with pytest.raises(UnsupportedPicture, match="12 bits"):
        read_picture(jpeg_of_size(32, 32, bits=12))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_cut_off_files_are_damaged(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    content = saved(noise, kind)

    with pytest.raises(PictureError, match="damaged or incomplete"):
        read_picture(content[: int(len(content) * share)])


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_no_damage_gives_another_error(kind: str) -> None:
    """Bytes changed at random: the picture is read or refused with a sentence, never anything else."""
    random = np.random.default_rng(1)
    content = saved(COLOUR, kind)
    refusals: list[str] = []
    for _ in range(300):
        changed = bytearray(content)
        for at in random.integers(3 if kind == "JPEG" else 8, len(content), 4):
            changed[at] = random.integers(256)
        try:
            assert read_picture(bytes(changed)).dtype == np.uint8
        except PictureError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    assert all(sentence.endswith(".") for sentence in refusals)


def test_a_size_of_nothing_is_damaged() -> None:
    with pytest.raises(PictureError, match="damaged"):
        inspect_picture(png_of_size(0, 10))


def test_one_pixel_is_a_picture() -> None:
    assert read_picture(saved(np.full((1, 1), 9, np.uint8))).tolist() == [[9]]


# Writing


@pytest.mark.parametrize("picture", [GREY, COLOUR], ids=["grey", "colour"])
def test_what_is_written_is_read(picture: NDArray[Any]) -> None:
    assert np.array_equal(read_picture(write_png(picture)), picture)
    jpeg = read_picture(write_jpeg(picture))
    assert jpeg.shape == picture.shape
    assert np.abs(jpeg.astype(int) - picture).mean() < 5
    assert len(write_jpeg(picture, quality=30)) < len(write_jpeg(picture, quality=95))
