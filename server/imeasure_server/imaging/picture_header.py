"""The kind and size of a JPEG or PNG file from its first bytes, before anything is decoded.

PNG: W3C Recommendation, Third Edition (2025), section 11.2.1. JPEG: ITU-T T.81 (1992), annex B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAX_PIXELS = 64_000_000
"""Pixels of the largest picture that is decoded: 192 MB as RGB; a 64 megapixel camera and any flat panel fit."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


class PictureError(ValueError):
    """A picture that cannot be used; the message is a sentence for the person whose picture it is."""


class UnsupportedPicture(PictureError):
    """The content is of a kind that is not read."""


class PictureTooLarge(PictureError):
    """The picture has more pixels than are decoded."""


@dataclass(frozen=True)
class PictureHeader:
    """What the first bytes of a file say.

    Attributes:
        format: by the content, never by a name.
        width, height: in pixels as stored, before the EXIF orientation is applied.
        bits: for one sample of one channel.
    """

    format: Literal["JPEG", "PNG"]
    width: int
    height: int
    bits: int


def inspect_picture(content: bytes) -> PictureHeader:
    """Read the header of a JPEG or PNG file; costs next to nothing, whatever the content is.

    Raises:
        UnsupportedPicture: neither JPEG nor PNG.
        PictureTooLarge: more than `MAX_PIXELS`.
        PictureError: the header is damaged or cut off.
    """
    if content.startswith(PNG_SIGNATURE):
        header = _png_header(content)
    elif content.startswith(JPEG_SIGNATURE):
        header = _jpeg_header(content)
    else:
        raise UnsupportedPicture("This is neither a JPEG nor a PNG picture: save it as one of them and send it again.")
    if header.width == 0 or header.height == 0:
        raise damaged(header.format)
    check_size(header.width, header.height)
    return header


def check_size(width: int, height: int) -> None:
    """Raises:
    PictureTooLarge: more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise PictureTooLarge(
            f"The picture has {width} × {height} pixels; at most {MAX_PIXELS // 1_000_000} million are taken: "
            "make it smaller and send it again."
        )


def damaged(kind: str) -> PictureError:
    """The error for content that begins like a picture and is none."""
    return PictureError(f"The {kind} picture is damaged or incomplete: save or export it again.")


def _png_header(content: bytes) -> PictureHeader:
    if content[12:16] != b"IHDR" or len(content) < 26:
        raise damaged("PNG")
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    return PictureHeader("PNG", width, height, content[24])


def _jpeg_header(content: bytes) -> PictureHeader:
    """Walk over the segments to the start of the frame; thumbnails lie inside of segments and are passed by."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in _START_OF_FRAME and length >= 8 and at + 9 <= len(content):
            height, width = (int.from_bytes(content[start : start + 2], "big") for start in (at + 5, at + 7))
            return PictureHeader("JPEG", width, height, content[at + 4])
        if marker in (_START_OF_SCAN, _END_OF_IMAGE) or length < 2:
            break
        at += 2 + length
    raise damaged("JPEG")
