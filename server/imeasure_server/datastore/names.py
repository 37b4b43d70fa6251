"""Names of images, labels and tags, as MONAI Label makes them of file names; none of them can leave the folder.

Slicer calls a volume ``2: CT chest``, and MONAI Label's plugin makes that the image's id. What no file name holds
everywhere (a colon, a slash) is written as ``%3A`` in the file's name, and is itself again in the id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from imeasure_server.datastore.errors import BadItem

IMAGE_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".png", ".jpg", ".jpeg", ".dcm", ".zip")
LABEL_EXTENSIONS = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".png", ".json")

FINAL, ORIGINAL = "final", "original"
"""Tags: what a person submitted, and what a model proposed."""

MAX_NAME = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = '/\\:*?"<>|%'
_CODES = {f"{ord(character):02X}": character for character in _ESCAPED}
_TO_ESCAPE = re.compile(rf"[{re.escape(_ESCAPED[:-1])}]|%(?={'|'.join(_CODES)})")
_CODE = re.compile(rf"%({'|'.join(_CODES)})")
_TAG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


def split_name(name: str, extensions: Sequence[str]) -> tuple[str, str] | None:
    """``("liver_1", ".nii.gz")`` for ``liver_1.nii.gz``; None when the name has none of the extensions."""
    lowered = name.lower()
    for extension in extensions:
        if lowered.endswith(extension) and len(name) > len(extension):
            return name[: -len(extension)], name[-len(extension) :]
    return None


def checked_id(name: str) -> str:
    """``name`` without space around it, when it can be the id of an image.

    Raises:
        BadItem: it is empty, too long, begins with a dot, or holds a control character.
    """
    name = name.strip(" ")
    if not name or len(file_stem(name)) > MAX_NAME or name.startswith(".") or _CONTROL.search(name):
        raise BadItem(
            f"An image's name has 1 to {MAX_NAME} characters, begins with another than a dot, and is all on one line."
        )
    return name


def file_stem(image_id: str) -> str:
    """Of the files of an image and its labels."""
    return _TO_ESCAPE.sub(lambda found: f"%{ord(found[0]):02X}", image_id)


def id_of_stem(stem: str) -> str:
    """The id that `file_stem` made a stem of, which of most is the stem itself."""
    return _CODE.sub(lambda found: _CODES[found[1]], stem)


def checked_tag(tag: str) -> str:
    """``tag`` when it can be a label's tag.

    Raises:
        BadItem: it holds more than letters, digits and ``_ . -``, or begins with a dot.
    """
    if not _TAG.fullmatch(tag):
        raise BadItem("A label's tag has 1 to 64 letters, digits or _ . - and does not begin with a dot.")
    return tag
