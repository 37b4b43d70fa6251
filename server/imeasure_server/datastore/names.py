"""Names of images, labels and tags, as MONAI Label makes them of file names; none of them can leave the folder."""

from __future__ import annotations

import re
from collections.abc import Sequence

from imeasure_server.datastore.errors import BadItem

IMAGE_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".png", ".jpg", ".jpeg", ".dcm", ".zip")
LABEL_EXTENSIONS = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".png", ".json")

FINAL, ORIGINAL = "final", "original"
"""Tags: what a person submitted, and what a model proposed."""

MAX_NAME = 200
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_TAG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


def split_name(name: str, extensions: Sequence[str]) -> tuple[str, str] | None:
    """``("liver_1", ".nii.gz")`` for ``liver_1.nii.gz``; None when the name has none of the extensions."""
    lowered = name.lower()
    for extension in extensions:
        if lowered.endswith(extension) and len(name) > len(extension):
            return name[: -len(extension)], name[-len(extension) :]
    return None


def checked_id(name: str) -> str:
    """``name`` when it can be the name of an image.

    Raises:
        BadItem: it is empty, too long, or holds what a file name cannot hold everywhere.
    """
    if not name or len(name) > MAX_NAME or name.startswith(".") or name != name.strip() or _FORBIDDEN.search(name):
        raise BadItem(
            f"An image's name has 1 to {MAX_NAME} characters, none of them a slash or one of : * ? \" < > |, "
            "and does not begin with a dot."
        )
    return name


def checked_tag(tag: str) -> str:
    """``tag`` when it can be a label's tag.

    Raises:
        BadItem: it holds more than letters, digits and ``_ . -``, or begins with a dot.
    """
    if not _TAG.fullmatch(tag):
        raise BadItem("A label's tag has 1 to 64 letters, digits or _ . - and does not begin with a dot.")
    return tag
