"""Real images with a lesion's mask, read from the shared data folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from imeasure_server.imaging.volume import BoolArray, Geometry, Volume


def sts_cases(data: Path, split: str) -> Iterator[tuple[str, Volume, BoolArray]]:
    """Patients of one split; numbers that end in 1 or 5 are validation.

    Args:
        data: folder that holds ``sts-ibsi``.
        split: ``training`` or ``validation``.

    Yields:
        name, CT, tumour mask. Nothing when the folder is not there.
    """
    for path in sorted((data / "sts-ibsi").glob("STS_*_ct.nii.gz")):
        name = path.name[:7]
        if (name[-1] in "15") == (split == "validation"):
            yield name, *_read(path, path.with_name(f"{name}_ct_gtv.nii.gz"))


def mr_cases(data: Path) -> Iterator[tuple[str, Volume, BoolArray]]:
    """The MR crops of pyradiomics-mr: name, image, lesion mask. Nothing when the folder is not there."""
    for path in sorted((data / "pyradiomics-mr").glob("*_image.nrrd")):
        name = path.name.removesuffix("_image.nrrd")
        yield name, *_read(path, path.with_name(f"{name}_label.nrrd"))


ORGANS = {
    "abdomen_3mm": ("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "aorta", "vertebrae_L1"),
    "aorta_1p5mm": ("aorta", "T12"),
}


def organ_cases(data: Path) -> Iterator[tuple[str, Volume, BoolArray]]:
    """Organs of totalsegmentator-example: name, CT, largest part of the label. Nothing when the folder is not there.

    The labels are the output of a model: agreement with them is no accuracy.
    """
    folder = data / "totalsegmentator-example"
    if not folder.is_dir():
        return
    numbers = {name: int(number) for number, name in json.loads((folder / "labels.json").read_text())["total"].items()}
    for scan, organs in ORGANS.items():
        for organ in organs:
            single = folder / f"{scan}_{organ}.nii.gz"
            label = 1 if single.is_file() else numbers[organ]
            path = single if single.is_file() else folder / f"{scan}_seg117.nii.gz"
            volume, mask = _read(folder / f"{scan}_ct.nii.gz", path, label)
            yield f"{scan} {organ}", volume, _largest_part(mask)


def _largest_part(mask: BoolArray) -> BoolArray:
    labels, _ = ndimage.label(mask)
    return np.asarray(labels == int(np.bincount(labels.ravel())[1:].argmax()) + 1)


def _read(image_path: Path, mask_path: Path, label: int | None = None) -> tuple[Volume, BoolArray]:
    image = sitk.ReadImage(str(image_path))
    mask = sitk.ReadImage(str(mask_path))
    size = image.GetSize()
    geometry = Geometry.from_axes(
        image.GetOrigin(),
        image.GetSpacing(),
        np.array(image.GetDirection()).reshape(3, 3),
        (size[0], size[1], size[2]),
    )
    labels = sitk.GetArrayFromImage(mask).T
    return Volume(sitk.GetArrayFromImage(image).T, geometry), labels > 0 if label is None else labels == label
