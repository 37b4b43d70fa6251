"""Label masks as files: what models answer, and what clients send to be refined or stored."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imeasure_server.imaging.gzip_stream import pack
from imeasure_server.imaging.image_error import ImageError, damaged
from imeasure_server.imaging.image_files import read_volume_file
from imeasure_server.imaging.nifti_header import nifti_header
from imeasure_server.imaging.picture_header import JPEG_SIGNATURE, PNG_SIGNATURE, PictureError, inspect_picture
from imeasure_server.imaging.volume import Geometry, Volume

LabelArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".seg.nrrd", ".png")

MAX_LABEL = (1 << 16) - 1

_SNIFFED_BYTES = 2048
"""nibabel reads 1024 bytes before it knows what a file is; where a line end follows a shorter gzip stream it fails."""

_COLOURS = ((0.5, 0.68, 0.5), (0.95, 0.84, 0.57), (0.69, 0.48, 0.4), (0.44, 0.72, 0.82), (0.85, 0.4, 0.31))


def encode_label(
    mask: npt.NDArray[Any],
    geometry: Geometry,
    extension: str,
    *,
    compress: bool = True,
    label_names: Mapping[str, int] | None = None,
) -> bytes:
    """A mask as the content of a file, in the voxel order of ``mask``.

    Args:
        mask: (x, y, z) bool or integer; bool and integers up to 255 are written as uint8 (uint16 stays uint16).
        geometry: of the mask.
        extension: one of `EXTENSIONS`, with or without the dot. A ``.nii.gz`` holds no blank line and no multipart
            boundary (`gzip_stream`); a ``.png`` is for one slice, its grey values are the label values.
        compress: whether an NRRD is; what ``.nii`` and ``.nii.gz`` are is in their names.
        label_names: name to value, for the segments of a ``.seg.nrrd``.

    Raises:
        ImageError: another extension, labels that are no numbers from 0 to 65535, several slices for a PNG, or a
            sheared grid.
        ValueError: the mask's shape is not the geometry's.
    """
    if mask.shape != geometry.shape:
        raise ValueError(f"The mask's shape {mask.shape} is not the geometry's {geometry.shape}.")
    extension = f".{extension.lower().lstrip('.')}"
    if extension not in EXTENSIONS:
        raise ImageError(f"Masks are not written as {extension} files: ask for one of {', '.join(EXTENSIONS)}.")
    labels = as_labels(mask)
    if extension == ".png":
        return _png(labels)
    if extension in (".nrrd", ".seg.nrrd"):
        pairs = _segment_pairs(labels, label_names) if extension == ".seg.nrrd" else {}
        return _nrrd(labels, geometry, compress, pairs)
    voxels = np.ascontiguousarray(labels.T)
    if extension == ".nii":
        return nifti_header(geometry, voxels.dtype, "IMeasure") + voxels.tobytes()
    start = 352 if voxels.nbytes >= _SNIFFED_BYTES else _SNIFFED_BYTES
    return pack(
        lambda attempt: nifti_header(geometry, voxels.dtype, f"IMeasure {attempt}", start + (attempt << 16)), voxels
    )


def read_label(path: Path, name: str) -> Volume:
    """Read a label mask: NIfTI, NRRD, or a PNG as (width, height, 1).

    Returns:
        The mask, uint8 or uint16, with the geometry that the file gives.

    Raises:
        ImageError: none of these, damaged, or with values that are no labels.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(JPEG_SIGNATURE):
        raise ImageError(f"{name} is a JPEG picture, whose values are not exact: send the label as NIfTI, NRRD or PNG.")
    if head.startswith(PNG_SIGNATURE):
        return _read_png(path, name)
    volume, _ = read_volume_file(path, name)
    return Volume(as_labels(volume.array), volume.geometry)


def as_labels(array: npt.NDArray[Any]) -> LabelArray:
    """Whole numbers of any type as uint8 where these can hold them, else as uint16; uint16 stays what it is.

    Raises:
        ImageError: other values.
    """
    if array.dtype == np.bool_:
        return np.asarray(array.astype(np.uint8))
    if array.dtype in (np.uint8, np.uint16):
        return np.asarray(array)
    if array.dtype.kind not in "iuf":
        raise ImageError("A label mask has whole numbers from 0 to 65535 as its values.")
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (low >= 0 and high <= MAX_LABEL) or (array.dtype.kind == "f" and (array != np.rint(array)).any()):
        raise ImageError("The values of a label mask are whole numbers from 0 to 65535; other values were found.")
    return np.asarray(array.astype(np.uint8 if high <= 255 else np.uint16))


def _png(labels: LabelArray) -> bytes:
    if labels.shape[2] != 1:
        raise ImageError(f"A PNG holds one slice; this mask has {labels.shape[2]}: ask for NIfTI or NRRD.")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(labels[:, :, 0].T)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _read_png(path: Path, name: str) -> Volume:
    content = path.read_bytes()
    try:
        inspect_picture(content)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            values = np.asarray(image)
    except PictureError as error:
        raise ImageError(str(error)) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(name) from error
    if values.ndim == 3:  # a coloured drawing, perhaps with transparency: alpha is no label
        values = values[..., :1] if values.shape[2] == 2 else values[..., :3]
        values = values.max(axis=2)
    array = as_labels(values.T[:, :, None])
    return Volume(array, Geometry(np.eye(4), (array.shape[0], array.shape[1], 1)))


def _nrrd(labels: LabelArray, geometry: Geometry, compress: bool, pairs: Mapping[str, str]) -> bytes:
    kind = "unsigned char" if labels.dtype == np.uint8 else "unsigned short"
    lines = [
        "NRRD0004",
        f"type: {kind}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(length) for length in geometry.shape)}",
        f"space directions: {' '.join(_vector(axis) for axis in geometry.affine[:3, :3].T)}",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {'gzip' if compress else 'raw'}",
        f"space origin: {_vector(geometry.origin)}",
        *(f"{key}:={value}" for key, value in pairs.items()),
    ]
    header = ("\n".join(lines) + "\n\n").encode()
    voxels = np.ascontiguousarray(labels.T)
    voxels = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    return header + (pack(lambda _: b"", voxels) if compress else voxels.tobytes())


def _vector(numbers: npt.NDArray[np.float64]) -> str:
    return f"({','.join(repr(float(number) + 0.0) for number in numbers)})"


def _segment_pairs(labels: LabelArray, label_names: Mapping[str, int] | None) -> dict[str, str]:
    """What Slicer needs to know of the segments, https://slicer.readthedocs.io (segmentation file format)."""
    present = [int(value) for value in np.unique(labels) if value]
    names = {value: name for name, value in (label_names or {}).items() if value}
    pairs = {"Segmentation_MasterRepresentation": "Binary labelmap", "Segmentation_ReferenceImageExtentOffset": "0 0 0"}
    for index, value in enumerate(sorted({*present, *names})):
        name = " ".join(names.get(value, f"Label {value}").split())
        colour = " ".join(str(part) for part in _COLOURS[index % len(_COLOURS)])
        start = f"Segment{index}"
        pairs |= {
            f"{start}_ID": f"Segment_{value}",
            f"{start}_Name": name,
            f"{start}_NameAutoGenerated": "0",
            f"{start}_Color": colour,
            f"{start}_ColorAutoGenerated": "0",
            f"{start}_LabelValue": str(value),
            f"{start}_Layer": "0",
            f"{start}_Extent": _extent(labels, value),
            f"{start}_Tags": "|",
        }
    return pairs


def _extent(labels: LabelArray, value: int) -> str:
    found = labels == value
    if not found.any():
        return "0 -1 0 -1 0 -1"
    ends: list[str] = []
    for axis in range(3):
        inside = np.flatnonzero(found.any(axis=tuple(other for other in range(3) if other != axis)))
        ends += [str(inside[0]), str(inside[-1])]
    return " ".join(ends)
