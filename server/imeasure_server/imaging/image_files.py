"""Image files of any kind that clients send, recognised by their content first and by their names second."""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imeasure_server.imaging.decoded_image import DecodedImage, check_voxels, write_voxels
from imeasure_server.imaging.dicom_file import FileOnDisk, looks_like_dicom
from imeasure_server.imaging.dicom_series import decode_dicom
from imeasure_server.imaging.gzip_stream import GZIP_SIGNATURE, unpack
from imeasure_server.imaging.image_error import ImageError, damaged
from imeasure_server.imaging.nifti import NiftiError, read_nifti
from imeasure_server.imaging.nifti_header import is_nifti, is_nifti2, stated_size
from imeasure_server.imaging.nrrd import NRRD_SIGNATURE, read_nrrd
from imeasure_server.imaging.picture_header import JPEG_SIGNATURE, PNG_SIGNATURE
from imeasure_server.imaging.pictures import PictureError, read_picture
from imeasure_server.imaging.plain_nifti import copy_plain_nifti
from imeasure_server.imaging.volume import Geometry, Volume
from imeasure_server.imaging.zip_archive import ZIP_SIGNATURES, open_archive

_HEAD_BYTES = 1024
_MAX_PICTURE_BYTES = 512 << 20
_MAX_TRAILING_BYTES = 1 << 20

_KINDS_READ = "a ZIP of DICOM images, a DICOM, NIfTI, NRRD, PNG or JPEG file"


def decode_image(path: Path, name: str, folder: Path, series_uid: str = "") -> DecodedImage:
    """Decode a file into ``folder``.

    Args:
        path: of the file; nothing is concluded from it.
        name: that the client gave it, for messages and where the content does not tell.
        folder: an empty folder, that gets the voxels and, of DICOM, the headers.
        series_uid: which series of a ZIP of DICOM images is wanted; "" for the largest.

    Raises:
        ImageError: not one of the kinds that are read, or it cannot be used.
        OSError: the voxels cannot be written.
    """
    name = name or "The file"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise ImageError(f"{name} is empty.")
    if looks_like_dicom(head, name):
        return decode_dicom([FileOnDisk(path, name)], folder, name, series_uid)
    if head.startswith(ZIP_SIGNATURES):
        with open_archive(path) as members:
            return decode_dicom(members, folder, "The ZIP archive", series_uid)
    if head.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        return _decoded(read_picture_slice(path), "picture", folder)
    geometry = copy_plain_nifti(path, folder)
    if geometry is not None:
        return DecodedImage(geometry, "nifti")
    return _decoded(*read_volume_file(path, name, scratch=folder), folder)


def decode_series_files(
    paths: Sequence[Path], folder: Path, series_uid: str = "", names: Sequence[str] | None = None
) -> DecodedImage:
    """Decode the DICOM files of a series on disk into ``folder``; others among them are passed by.

    Args:
        names: that the client gave the files, where these are not the paths'.

    Raises:
        ImageError: they cannot be used.
    """
    files = [FileOnDisk(path, name) for path, name in zip(paths, names or [path.name for path in paths], strict=True)]
    return decode_dicom(files, folder, "The series", series_uid)


def read_volume_file(path: Path, name: str, scratch: Path | None = None) -> tuple[Volume, str]:
    """Read a NIfTI or NRRD file, and say which it is: ``nifti`` or ``nrrd``.

    Args:
        path: of the file.
        name: that the client gave it, for messages.
        scratch: a folder that it may be unpacked in; the system's where none is given.

    Raises:
        ImageError: neither, or it cannot be used.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(NRRD_SIGNATURE):
        return read_nrrd(path, name).volume, "nrrd"
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        plain = Path(folder) / "image.nii"
        if head.startswith(GZIP_SIGNATURE):
            _gunzip(path, plain, name)
        else:
            _checked_size(head, name)
            _link(path, plain)
        try:
            return read_nifti(plain), "nifti"
        except NiftiError as error:
            raise ImageError(str(error).replace(plain.name, name)) from error
        except (ValueError, ArithmeticError, KeyError, MemoryError) as error:  # a header that makes no sense
            raise damaged(name) from error


def read_picture_slice(path: Path) -> Volume:
    """A PNG or JPEG picture as (width, height, 1) grey values, with pixels of 1 mm.

    Raises:
        ImageError: it cannot be used.
    """
    if path.stat().st_size > _MAX_PICTURE_BYTES:
        raise ImageError("The picture is larger than pictures are: send a smaller one.")
    try:
        picture = read_picture(path.read_bytes())
    except PictureError as error:
        raise ImageError(str(error)) from error
    grey = picture if picture.ndim == 2 else np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    array = grey.T[:, :, None]
    return Volume(array, Geometry(np.eye(4), (array.shape[0], array.shape[1], 1)))


def _decoded(volume: Volume, kind: str, folder: Path) -> DecodedImage:
    write_voxels(folder, volume)
    if kind == "nifti":
        return DecodedImage(volume.geometry, "nifti")
    return DecodedImage(volume.geometry, "nrrd" if kind == "nrrd" else "picture")


def _link(path: Path, name: Path) -> None:
    """Another name for a file: the NIfTI library goes by the ending."""
    try:
        os.link(path, name)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, name)


def _gunzip(path: Path, plain: Path, name: str) -> None:
    """Unpack a NIfTI file; nothing else, and no more of it than its header states.

    Raises:
        ImageError: no NIfTI file, damaged, or too large.
    """
    written, limit = 0, 0
    try:
        with path.open("rb") as packed, plain.open("wb") as unpacked:
            for block in unpack(packed):
                if written == 0:
                    limit = _checked_size(block, name) + _MAX_TRAILING_BYTES
                written += len(block)
                if written > limit:
                    raise damaged(name)
                unpacked.write(block)
    except (EOFError, zlib.error) as error:
        raise damaged(name) from error


def _checked_size(head: bytes, name: str) -> int:
    """Bytes of an unpacked NIfTI file, from its beginning."""
    if is_nifti2(head):
        raise ImageError(f"{name} is a NIfTI-2 file: save it as NIfTI-1.")
    if not is_nifti(head):
        raise ImageError(f"{name} is not an image of a kind that is read: send {_KINDS_READ}.")
    try:
        shape, size = stated_size(head)
    except ValueError as error:
        raise damaged(name) from error
    check_voxels(shape)
    return size
