"""DICOM images as one volume: which files belong together, and their voxels in Hounsfield units or as stored."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut

from imeasure_server.imaging.decoded_image import HEADERS, VOXELS, DecodedImage, check_voxels, finite
from imeasure_server.imaging.dicom_file import NONSENSE, DicomFile, Source, parse_dicom
from imeasure_server.imaging.dicom_frames import Frame, frames_of
from imeasure_server.imaging.dicom_grid import Stack, parallel_stacks, stack_up
from imeasure_server.imaging.dicom_pixels import PixelReader
from imeasure_server.imaging.gdcm_process import GdcmProcess
from imeasure_server.imaging.image_error import ImageError, damaged

_NOT_IMAGES = ("SEG", "PR", "SR", "KO", "REG", "RTSTRUCT", "RTPLAN")
_THREADS = 4
"""At most, for compressed pixels; each holds one file. What is not compressed is read no faster by several."""

_LOW, _HIGH = -(1 << 15), (1 << 15) - 1


class _DoesNotFit(Exception):
    """A value is no 16-bit integer."""


def decode_dicom(sources: Iterable[Source], folder: Path, what: str, series_uid: str = "") -> DecodedImage:
    """Decode a series into ``folder``: its voxels, and the headers of its files.

    Of several series the one with the most voxels is taken, of one series the largest stack of parallel slices of one
    size. Files that are no DICOM images are passed by; a file that is there twice counts once. Values are int16 where
    these hold them exactly, else float32. ``MONOCHROME1`` is turned around (bright stays dense), except in CT.

    Args:
        sources: the files, in any order.
        what: they come from, to begin sentences with: "The ZIP archive".
        series_uid: SeriesInstanceUID of the series to take; "" for the largest.

    Raises:
        ImageError: no such series, damaged, or no single regular grid (see `dicom_grid.stack_up`).
        OSError: a file has gone, or the disk is full.
    """
    files = _image_files(sources, what, series_uid)
    try:
        stack = stack_up(_largest_stack(files))
        check_voxels(stack.geometry.shape)
        _write_voxels(folder, stack)
        return DecodedImage(stack.geometry, "dicom", stack.flipped, True, stack.frames[0].file.series_uid)
    except ImageError:
        raise
    except NONSENSE as error:
        raise damaged(what) from error


def _image_files(sources: Iterable[Source], what: str, series_uid: str) -> list[DicomFile]:
    """The files that hold images, of the series asked for; each instance once."""
    found: dict[str, DicomFile] = {}
    segmentations = 0
    for source in sources:
        file = parse_dicom(source)
        kind = None if file is None else _kind(file)
        if file is None or kind is None:
            continue
        if kind == "image":
            found.setdefault(file.instance_uid or source.name, file)
        else:
            segmentations += 1
    if not found:
        instead = "a DICOM segmentation or other derived objects but no image" if segmentations else "no DICOM image"
        raise ImageError(f"{what} holds {instead}: send a series of DICOM images.")
    files = [file for file in found.values() if series_uid in ("", file.series_uid)]
    if not files:
        raise ImageError(f"{what} holds no image of the series {series_uid}.")
    return files


def _kind(file: DicomFile) -> Literal["image", "derived"] | None:
    """What a file holds; None where its header makes no sense."""
    try:
        if file.dataset.get("Modality") in _NOT_IMAGES or file.dataset.get("BitsAllocated") == 1:
            return "derived"
        usable = int(file.dataset.Rows) > 0 and int(file.dataset.Columns) > 0 and file.frames > 0
        return "image" if usable and file.series_uid is not None and file.instance_uid is not None else None
    except NONSENSE:
        return None


def _largest_stack(files: Sequence[DicomFile]) -> list[Frame]:
    series: dict[str, list[Frame]] = {}
    for file in files:
        series.setdefault(file.series_uid, []).extend(frames_of(file))
    of_one = max(series.values(), key=_voxels)
    return max(parallel_stacks(of_one), key=_voxels)


def _voxels(frames: Sequence[Frame]) -> int:
    return sum(int(frame.file.dataset.Rows) * int(frame.file.dataset.Columns) for frame in frames)


def _write_voxels(folder: Path, stack: Stack) -> None:
    """Slice by slice into the file that workers map: no copy of the whole volume is made."""
    if all(_is_integral(frame) for frame in stack.frames):
        try:
            _write_as(folder, stack, np.dtype(np.int16))
            return
        except _DoesNotFit:
            pass
    _write_as(folder, stack, np.dtype(np.float32))


def _is_integral(frame: Frame) -> bool:
    return frame.slope.is_integer() and frame.intercept.is_integer()


def _write_as(folder: Path, stack: Stack, dtype: np.dtype[Any]) -> None:
    (folder / HEADERS).mkdir(exist_ok=True)
    columns, rows, _ = stack.geometry.shape
    slices: dict[DicomFile, list[int]] = {}
    for index, frame in enumerate(stack.frames):
        slices.setdefault(frame.file, []).append(index)
    files = list(slices)

    def write(number: int) -> None:
        file = files[number]
        reader = PixelReader(file, gdcm)
        (folder / HEADERS / f"{number:05d}.dcm").write_bytes(file.header(reader.content))
        for index in slices[file]:
            frame = stack.frames[index]
            values: NDArray[Any] = np.empty((rows, columns), dtype)
            _put(reader.frame(frame.index), frame, values)
            voxels.put(index, values)

    compressed = files[0].syntax.is_compressed
    threads = max(1, min(_THREADS, os.cpu_count() or 1, len(files))) if compressed else 1
    with (
        _Voxels(folder / VOXELS, dtype, stack.geometry.shape) as voxels,
        GdcmProcess() as gdcm,
        ThreadPoolExecutor(threads) as executor,
    ):
        for _ in executor.map(write, range(len(files))):
            pass


class _Voxels:
    """The file of the voxels, slices in any order, from any thread. Written and not mapped: that is faster, and a full
    disk is an error where a mapped file would end the process.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, int, int]) -> None:
        self._file = path.open("wb")
        about = {"descr": dtype.str, "fortran_order": True, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, about)
        self._start = self._file.tell()
        self._lock = threading.Lock()

    def put(self, index: int, values: NDArray[Any]) -> None:
        """Write slice ``index``: (rows, columns), contiguous."""
        with self._lock:
            self._file.seek(self._start + index * values.nbytes)
            self._file.write(values.data)

    def __enter__(self) -> _Voxels:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _put(stored: NDArray[Any], frame: Frame, out: NDArray[Any]) -> None:
    """Rescale (rows, columns) stored values into ``out``.

    Raises:
        _DoesNotFit: ``out`` is int16 and cannot hold them.
    """
    dataset = frame.file.dataset
    slope, intercept = frame.slope, frame.intercept
    if "ModalityLUTSequence" in dataset:
        stored, slope, intercept = np.asarray(apply_modality_lut(stored, dataset)), 1.0, 0.0
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1" and dataset.get("Modality") != "CT":
        slope, intercept = -slope, intercept + slope * _low_plus_high(stored, frame)
    if out.dtype == np.float32:
        stored = finite(stored)
        np.multiply(stored, np.float32(slope), out=out, casting="unsafe")
        out += np.float32(intercept)
        return
    if stored.dtype.kind not in "iu":
        raise _DoesNotFit
    ends = [int(value) * int(slope) + int(intercept) for value in (stored.min(), stored.max())]
    if min(ends) < _LOW or max(ends) > _HIGH:
        raise _DoesNotFit
    # The results fit, so arithmetic modulo 2^16 is exact: no wider copy of the slice is needed.
    narrow = stored.view(np.int16) if stored.dtype.itemsize == 2 else stored.astype(np.int16)
    if slope != 1:
        narrow = narrow * _modulo(slope)
    np.add(narrow, _modulo(intercept), out=out)


def _modulo(number: float) -> np.int16:
    return np.int16((int(number) + (1 << 15)) % (1 << 16) - (1 << 15))


def _low_plus_high(stored: NDArray[Any], frame: Frame) -> float:
    """The lowest plus the highest value that pixels can have: a value and its mirror image add up to it."""
    if stored.dtype.kind == "f":
        return float(stored.min() + stored.max())
    if stored.dtype.kind == "i":
        return -1.0
    bits = int(frame.file.dataset.get("BitsStored") or 8 * stored.dtype.itemsize)
    return float((1 << bits) - 1)
