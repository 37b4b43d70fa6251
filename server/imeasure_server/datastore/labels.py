"""Files of labels: where they lie, and whether one can be kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imeasure_server.datastore.errors import BadItem
from imeasure_server.datastore.names import LABEL_EXTENSIONS, id_of_stem, split_name
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import read_label


def labels_by_tag(folder: Path) -> dict[str, dict[str, Path]]:
    """The files of ``folder/TAG/`` by tag and image id."""
    tags: dict[str, dict[str, Path]] = {}
    for tag in _names(folder):
        for name in _names(folder / tag):
            parts = split_name(name, LABEL_EXTENSIONS)
            if parts is not None:
                tags.setdefault(tag, {}).setdefault(id_of_stem(parts[0]), folder / tag / name)
    return tags


def checked_label(source: Path, name: str) -> tuple[bytes, str]:
    """The file's bytes and its extension.

    Raises:
        BadItem: it is of a kind that is not kept, or damaged; a sentence.
    """
    parts = split_name(name, LABEL_EXTENSIONS)
    if parts is None:
        raise BadItem(f"Labels of these kinds can be kept: {', '.join(LABEL_EXTENSIONS)}.")
    extension = parts[1].lower()
    content = source.read_bytes()
    try:
        if extension == ".json":
            json.loads(content)
        else:
            read_label(source, name)
    except ImageError as error:
        raise BadItem(str(error)) from error
    except ValueError as error:
        raise BadItem("The label is no JSON.") from error
    return content, extension


def read_raw_label(path: Path, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """(x, y, z) label from a file with one byte a voxel, x fastest, as MONAI Label's OHIF page sends it.

    Raises:
        BadItem: it does not hold one byte for each voxel of the image.
    """
    values = np.fromfile(path, dtype=np.uint8)
    if values.size != int(np.prod(shape)):
        raise BadItem("A .bin label has one byte for each voxel of its image.")
    return values.reshape(shape, order="F")


def extension_of(path: Path) -> str:
    """Of a label's file."""
    parts = split_name(path.name, LABEL_EXTENSIONS)
    return parts[1] if parts is not None else path.suffix


def modified(path: Path) -> int:
    """When the file changed last, in seconds since 1970; 0 when it is gone."""
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0


def _names(folder: Path) -> list[str]:
    """What is in a folder, sorted; nothing when it cannot be read."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []
