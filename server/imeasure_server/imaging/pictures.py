"""JPEG and PNG pictures: read as 8-bit grey or RGB as a person would see them, and written.

What is applied: EXIF orientation, palette, transparency (over black, as a radiograph's surround is), CMYK, 16 bits.
What is not: colour profiles (ICC, gamma, chromaticities). They change tones by little, radiographs carry none that
means anything, and the networks that look at these pictures are trained to ignore tone curves.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from imeasure_server.imaging.picture_header import (
    PictureError,
    PictureHeader,
    PictureTooLarge,
    UnsupportedPicture,
    check_size,
    damaged,
    inspect_picture,
)

__all__ = [
    "Picture",
    "PictureError",
    "PictureHeader",
    "PictureTooLarge",
    "UnsupportedPicture",
    "inspect_picture",
    "read_picture",
    "to_eight_bits",
    "write_jpeg",
    "write_png",
]

Picture: TypeAlias = NDArray[np.uint8]
"""(height, width) grey or (height, width, 3) RGB."""

Sample = TypeVar("Sample", np.uint8, np.uint16)

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, struct.error, zlib.error)
"""What Pillow raises for damaged data, by its decoders and its readers of metadata."""

_PNG_LEVEL = 3


def read_picture(content: bytes) -> Picture:
    """Decode a JPEG or PNG file, told apart by its content.

    Args:
        content: of the file; of an animation the first frame is read.

    Returns:
        (height, width) for grey and (height, width, 3) RGB for coloured files, upright by the EXIF orientation.
        16-bit files are brought to 8 bits as `to_eight_bits` says.

    Raises:
        UnsupportedPicture: neither JPEG nor PNG, or a JPEG of more than 8 bits.
        PictureTooLarge: more than `picture_header.MAX_PIXELS`; nothing has been decoded.
        PictureError: damaged or cut off.
    """
    header = inspect_picture(content)
    if header.format == "JPEG" and header.bits != 8:
        raise UnsupportedPicture(f"JPEG pictures of {header.bits} bits are not read: save it as PNG and send it again.")
    try:
        with Image.open(io.BytesIO(content), formats=(header.format,)) as image:
            check_size(*image.size)
            image.load()
            orientation = _orientation(image)
            picture = _sixteen_bits(content) if header.bits == 16 else _eight_bits(image)
    except PictureError:
        raise
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        raise damaged(header.format) from error
    return np.ascontiguousarray(_upright(picture, orientation))


def write_jpeg(picture: Picture, quality: int = 92) -> bytes:
    """A picture, (height, width) or (height, width, 3) RGB, as the content of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def write_png(picture: Picture) -> bytes:
    """A picture, (height, width) or (height, width, 3) RGB, as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def to_eight_bits(values: NDArray[np.uint16]) -> Picture:
    """16-bit values as 8-bit ones of the same shape.

    Detectors store 10 to 14 bits in 16, so the highest byte alone would be nearly black. The values are divided by the
    largest that the bits in use can hold; 8-bit values stored in 16 bits stay what they are, and so do 8-bit values
    that were spread over all 16. Where the picture uses less than a quarter of that range (raw detector values), it is
    stretched from its lowest to its highest values; "lowest" and "highest" leave out 0.1 % of the values each.
    """
    counts = np.bincount(values.reshape(-1), minlength=1 << 16).cumsum()
    low, high = (int(np.searchsorted(counts, share * counts[-1])) for share in (0.001, 0.999))
    largest = (1 << max(8, high.bit_length())) - 1
    if largest == 255 or high - low >= largest / 4 or high == low:
        low, high = 0, largest
    table = np.rint(np.clip((np.arange(1 << 16) - low) / (high - low), 0, 1) * 255)
    return table.astype(np.uint8)[values]


def _eight_bits(image: Image.Image) -> Picture:
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return np.asarray(image.convert("L"))
    if image.has_transparency_data:
        with_alpha = image.convert("LA" if image.mode in ("L", "LA") else "RGBA")
        return _over_black(np.asarray(with_alpha), 255)
    return np.asarray(image.convert("RGB"))


def _sixteen_bits(content: bytes) -> Picture:
    """Pillow keeps 16 bits of grey only, so OpenCV decodes these; Pillow has checked that the file is whole."""
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        raise damaged("PNG")
    values = np.asarray(stored, np.uint16)
    if values.ndim == 3:
        values = np.concatenate([values[:, :, 2::-1], values[:, :, 3:]], axis=2)  # blue comes first in OpenCV
        if values.shape[2] == 4:
            values = _over_black(values, (1 << 16) - 1)
            if (values == values[:, :, :1]).all():  # OpenCV gives grey with alpha as colour
                values = values[:, :, 0]
    return to_eight_bits(values)


def _over_black(values: NDArray[Sample], opaque: int) -> NDArray[Sample]:
    """Composite (height, width, 2 or 4), alpha last, over black; grey for two channels, RGB for four."""
    share = values[:, :, -1:].astype(np.float32) / opaque
    covered = np.rint(values[:, :, :-1] * share).astype(values.dtype)
    return covered[:, :, 0] if covered.shape[2] == 1 else covered


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _UNREADABLE:  # damaged metadata spoils no picture
        return 1
    return value if isinstance(value, int) else 1


def _upright(picture: Picture, orientation: int) -> Picture:
    """Undo an EXIF orientation (1 to 8); other values leave the picture as it is."""
    if orientation in (5, 6, 7, 8):
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture
