"""Program: reads DICOM files with GDCM for a parent process, which survives when a damaged file brings this one down.

Started by its path (`gdcm_process`), so it imports nothing of the server. For each file name on standard input it
writes the array beside the file, its name with ``.npy`` added, and answers a line: ``done`` or ``failed``.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import sys

import numpy as np
import SimpleITK as sitk


def main() -> None:
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    for line in sys.stdin:
        path = line.rstrip("\n")
        try:
            reader.SetFileName(path)
            np.save(f"{path}.npy", sitk.GetArrayFromImage(reader.Execute()))
        except (RuntimeError, OSError, MemoryError):
            print("failed", flush=True)
        else:
            print("done", flush=True)


if __name__ == "__main__":
    main()
