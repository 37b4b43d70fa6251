"""The error of everything that reads or writes images for the AIAA and MONAI Label protocols."""

from __future__ import annotations


class ImageError(ValueError):
    """A file that cannot be used; the message is a sentence for the person whose file it is, without paths."""


def damaged(name: str) -> ImageError:
    """The error for a file that begins like an image and is none."""
    return ImageError(f"{name} is damaged or incomplete: export it again.")
