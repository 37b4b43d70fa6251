"""The real pictures of the data folder, by what they show; grey, longer side `SIDE`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from imeasure_server.imaging.pictures import read_picture
from imeasure_server.imaging.radiograph_dicom import read_radiograph_dicom

Picture = NDArray[np.uint8]
SIDE = 160

FOLDERS = {
    "dogs": "canine-vhs",
    "cats": "feline-vetxray",
    "human chests": "negatives-human-cxr",
    "photographs": "negatives-natural",
    "other views of animals": "negatives-vet-other",
}
"""Groups and the folders that hold them; of these only the first is accepted."""

VOLUMES = ("sts-ibsi", "totalsegmentator-example", "pyradiomics-mr")
SLICES = "slices of CT and MR"


def real_pictures(data: Path) -> dict[str, list[Picture]]:
    """Pictures by group, in a fixed order."""
    return {group: real_group(data, group) for group in real_groups(data)}


def real_groups(data: Path) -> list[str]:
    """Names of the groups that the folder has; nothing is read."""
    found = [group for group, folder in FOLDERS.items() if (data / folder).is_dir()]
    return [*found, SLICES] if any((data / name).is_dir() for name in VOLUMES) else found


def real_group(data: Path, group: str) -> list[Picture]:
    """The pictures of a group, in a fixed order; of a volume four slices."""
    if group == SLICES:
        volumes = [path for name in VOLUMES for path in sorted((data / name).glob("*")) if _is_image(path)]
        return [picture for path in volumes for picture in _slices(path)]
    files = [path for path in sorted((data / FOLDERS[group]).glob("*")) if path.suffix in (".png", ".jpg", ".dcm")]
    return [_reduced(_read(path)) for path in files]


def _read(path: Path) -> Picture:
    picture = read_radiograph_dicom(path)[0] if path.suffix == ".dcm" else read_picture(path.read_bytes())
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def _reduced(picture: Picture) -> Picture:
    scale = SIDE / max(picture.shape)
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _is_image(path: Path) -> bool:
    return path.name.endswith(("_ct.nii.gz", "mr_3mm.nii.gz", "_image.nrrd"))


def _slices(path: Path) -> Iterator[Picture]:
    """Two axial slices, and one coronal and one sagittal with their true proportions, through changing windows."""
    volume = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(volume).astype(np.float32)
    spacing = volume.GetSpacing()
    is_ct = "_ct" in path.name
    windows = (
        [(-160, 240), (-1000, 400), (-200, 1000), (-500, 1200)]
        if is_ct
        else [tuple(np.percentile(values, [1, 99.5]))] * 4
    )
    depth, rows, columns = values.shape
    cuts = [
        (values[depth // 3], spacing[1] / spacing[0]),
        (values[2 * depth // 3], spacing[1] / spacing[0]),
        (values[::-1, rows // 2], spacing[2] / spacing[0]),
        (values[::-1, :, columns // 2], spacing[2] / spacing[1]),
    ]
    for (low, high), (cut, ratio) in zip(windows, cuts, strict=True):
        shown = (np.clip((cut - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        size = (shown.shape[1], max(8, round(shown.shape[0] * ratio)))
        yield _reduced(cv2.resize(shown, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8))
