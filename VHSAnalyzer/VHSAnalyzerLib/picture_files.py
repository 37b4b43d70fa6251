"""Picture and DICOM files for a batch, read off the GUI thread: pictures go to the server as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .picture import MAX_BYTES, EncodedPicture, Picture, PictureError, eightBit, encoded

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
DICOM_SUFFIXES = (".dcm", ".dicom")


def picturesIn(folder: str | Path) -> list[Path]:
    """The picture and DICOM files of a folder, in the order of their names; not those of its sub-folders.

    Raises:
        PictureError: there is no such folder.
    """
    if not Path(folder).is_dir():
        raise PictureError(f"There is no folder {folder}.")
    return sorted(path for path in Path(folder).iterdir() if path.is_file() and _isWanted(path))


def _isWanted(path: Path) -> bool:
    return not path.name.startswith(".") and (path.suffix.lower() in PICTURE_SUFFIXES or isDICOM(path))


def isDICOM(path: Path) -> bool:
    """Whether a file is DICOM, by its name or, where that has no suffix, by its first bytes."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if path.suffix:
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def sendable(path: Path) -> EncodedPicture:
    """A file as the server takes it.

    Raises:
        PictureError: it cannot be read, or is too large; says why.
    """
    if isDICOM(path):
        return encoded(readDICOM(path))
    content = path.read_bytes()
    if len(content) > MAX_BYTES:
        raise PictureError(f"{len(content) / 1e6:.1f} MB; the server takes 10 MB. Open it by itself.")
    if not content:
        raise PictureError("The file is empty.")
    return EncodedPicture(content, 0, 0)


def readDICOM(path: Path) -> Picture:
    """A radiograph from one DICOM file with ITK's reader, which is also Slicer's own and turns MONOCHROME1 round.

    Raises:
        PictureError: it cannot be read or has several frames.
    """
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError:
        raise PictureError("The DICOM file cannot be read as an image.") from None
    array = SimpleITK.GetArrayFromImage(image)
    if image.GetDimension() == 3:
        if array.shape[0] != 1:
            raise PictureError(f"The DICOM file has {array.shape[0]} frames; a radiograph has one.")
        array = array[0]
    spacing = image.GetSpacing()
    if array.ndim == 3:
        return Picture(eightBit(np.ascontiguousarray(array[..., :3])), (spacing[0], spacing[1]))
    return Picture(eightBit(array), (spacing[0], spacing[1]))
