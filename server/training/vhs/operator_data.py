"""Radiographs with landmarks that people marked: the public six-point format, and CSV of our seven landmarks.

Six-point format (as published with Li et al., "VHS regression", arXiv:2407.04936 and its data set): beside each
image a ``.mat`` file of the same stem with ``six_points`` (6, 2), (x, y) in pixels, and ``VHS``. A–B is the long axis,
C–D the short one, E–F spans six vertebrae. It has no VLAS.

CSV: columns ``image`` (path from the CSV's folder) and for each landmark ``NAME_x``, ``NAME_y`` in pixels, with the
contract's names (``heart_top_x`` … ``Vertebra B_y``). Empty cells are landmarks that were not marked.

Pixels are continuous coordinates: the outer corner of the first pixel is (0, 0).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from imeasure_server.imaging.pictures import read_picture
from imeasure_server.imaging.radiograph_dicom import read_radiograph_dicom
from imeasure_server.vhs.analysis import grey
from imeasure_server.vhs.landmarks import HEART_LEFT, HEART_RIGHT, LANDMARK_NAMES, VERTEBRA_A, VERTEBRA_B, VLAS
from vhs.attenuation import FloatArray

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".dcm")


class OperatorDataError(ValueError):
    """The data cannot be used; the message says which file and why."""


@dataclass(frozen=True, eq=False)
class MarkedRadiograph:
    """One image with what people marked on it.

    Attributes:
        path: of the image.
        landmarks: (7, 2) in pixels, NaN where not marked.
        vhs: as published with it, or None.
    """

    path: Path
    landmarks: FloatArray
    vhs: float | None

    def picture(self) -> NDArray[np.uint8]:
        """(height, width) grey.

        Raises:
            PictureError: it cannot be read.
        """
        if self.path.suffix.lower() == ".dcm":
            picture, _ = read_radiograph_dicom(self.path)
            return grey(picture)
        return grey(read_picture(self.path.read_bytes()))


def read_marked(source: Path) -> list[MarkedRadiograph]:
    """All marked radiographs of a CSV file, or of a folder (and those below it) in the six-point format.

    Raises:
        OperatorDataError: nothing is there, or a file is not as it should be.
    """
    marked = _read_csv(source) if source.suffix.lower() == ".csv" else _read_six_points(source)
    if not marked:
        raise OperatorDataError(f"{source} holds no marked radiograph: give a CSV or a folder with .mat files.")
    return marked


def _read_csv(source: Path) -> list[MarkedRadiograph]:
    marked = []
    with source.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        wanted = ["image", *(f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy")]
        missing = [name for name in wanted if name not in (rows.fieldnames or [])]
        if missing:
            raise OperatorDataError(f"{source.name} lacks the columns {', '.join(missing)}.")
        for number, row in enumerate(rows, start=2):
            try:
                values = [float(row[name]) if row[name] else np.nan for name in wanted[1:]]
            except ValueError as error:
                raise OperatorDataError(f"{source.name}, line {number}: {error}.") from error
            path = source.parent / row["image"]
            if not path.is_file():
                raise OperatorDataError(f"{source.name}, line {number}: there is no image {row['image']}.")
            marked.append(MarkedRadiograph(path, np.array(values).reshape(7, 2), None))
    return marked


def _read_six_points(folder: Path) -> list[MarkedRadiograph]:
    marked = []
    for mat in sorted(folder.rglob("*.mat")):
        image = _image_of(mat, folder)
        try:
            content = scipy.io.loadmat(mat)
            points = np.asarray(content["six_points"], float).reshape(6, 2)
            vhs = float(np.ravel(content["VHS"])[0])
        except (KeyError, ValueError, IndexError, OSError, MatReadError) as error:
            raise OperatorDataError(f"{mat.name} is not in the six-point format: {error}.") from error
        marked.append(MarkedRadiograph(image, _seven(points), vhs))
    return marked


def _image_of(mat: Path, folder: Path) -> Path:
    """Beside it, or anywhere in the folder when images and points are kept apart."""
    for ending in IMAGE_ENDINGS:
        for candidate in (mat.with_suffix(ending), mat.with_suffix(ending.upper())):
            if candidate.is_file():
                return candidate
    found = [path for path in folder.rglob(f"{mat.stem}.*") if path.suffix.lower() in IMAGE_ENDINGS]
    if len(found) != 1:
        raise OperatorDataError(f"There is {'no' if not found else 'more than one'} image for {mat.name}.")
    return found[0]


def _seven(six: FloatArray) -> FloatArray:
    """A to F as our landmarks. C or D is cranial, as E, the cranial end of the spine's span, is nearer to it."""
    a, b, c, d, e, f = six
    along = (f - e) / max(float(np.hypot(*(f - e))), 1e-9)
    if (c - d) @ along > 0:
        c, d = d, c
    points = np.full((7, 2), np.nan)
    points[0], points[1], points[HEART_RIGHT], points[HEART_LEFT] = a, b, c, d
    points[VERTEBRA_A], points[VERTEBRA_B] = e, f
    assert np.isnan(points[VLAS]).all()
    return points
