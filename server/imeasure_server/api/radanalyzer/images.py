"""From a string of the request to the bytes of a JPEG or PNG file, checked before anything is decoded from them."""

from __future__ import annotations

import base64
import binascii

from imeasure_server.api.radanalyzer.errors import MAX_IMAGE_BYTES, ImageTooLarge, InvalidImage
from imeasure_server.api.radanalyzer.json_body import LongString, MalformedJson
from imeasure_server.imaging.picture_header import PictureError, inspect_picture

ImageText = str | LongString

MAX_WRITTEN_BYTES = MAX_IMAGE_BYTES * 3 // 2
"""Of an image as it is written in the body: base64 takes 4/3 of it, line ends and escapes (``\\/``) some more."""

_NOT_BASE64 = "It is not base64: encode the bytes of a JPEG or PNG file."
_LINE_ENDS = b" \t\r\n"


def image_bytes(text: ImageText) -> bytes:
    """The bytes that a base64 string, or a ``data:`` URL with one, stands for.

    Raises:
        ImageTooLarge: more than `MAX_IMAGE_BYTES`.
        InvalidImage: it is not base64.
    """
    try:
        encoded = text.encoded() if isinstance(text, LongString) else text.encode("ascii")
        content = _decoded(_without_scheme(encoded))
    except (MalformedJson, ValueError) as error:  # binascii.Error and UnicodeEncodeError are of the latter
        raise InvalidImage(_NOT_BASE64) from error
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge
    return content


def checked_image(content: bytes) -> bytes:
    """The same bytes, when they begin like a picture that can be read.

    Raises:
        InvalidImage: neither JPEG nor PNG, too many pixels, or damaged.
    """
    if not content:
        raise InvalidImage("It is empty.")
    try:
        inspect_picture(content)
    except PictureError as error:
        raise InvalidImage(str(error)) from error
    return content


def _without_scheme(encoded: bytes | bytearray) -> bytes | bytearray:
    """What follows ``data:image/…;base64,``.

    Raises:
        ValueError: a ``data:`` URL that is not base64.
    """
    if encoded[:5].lower() != b"data:":
        return encoded
    comma = encoded.find(b",", 0, 256)
    if comma < 0 or not encoded[:comma].lower().endswith(b";base64"):
        raise ValueError("Not a base64 data URL.")
    return encoded[comma + 1 :]


def _decoded(encoded: bytes | bytearray) -> bytes:
    """Raises:
    binascii.Error: not base64. Line ends in it and missing padding are allowed, other characters are not.
    """
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        compact = encoded.translate(None, _LINE_ENDS)
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
