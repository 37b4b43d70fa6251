"""Findings to a file, where the person says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from .findings import Finding, toCSV, toJSONTable

FILTERS = {".csv": "CSV (*.csv)", ".json": "JSON (*.json)"}


def askForPath(suffix: str) -> str:
    """Ask where to write a file that ends in ``.csv`` or ``.json``; "" when the person changed their mind."""
    folder = slicer.app.defaultScenePath or os.path.expanduser("~")
    path = qt.QFileDialog.getSaveFileName(
        slicer.util.mainWindow(),
        _("Export findings"),
        os.path.join(folder, f"findings{suffix}"),
        FILTERS[suffix],
    )
    return path if not path or os.path.splitext(path)[1] else path + suffix


def writeFindings(path: str, findings: Sequence[Finding], volumeName: str) -> None:
    """Write findings as JSON when the name ends in ``.json``, else as CSV that spreadsheets read as UTF-8.

    Raises:
        OSError: it could not be written.
    """
    if path.lower().endswith(".json"):
        Path(path).write_text(toJSONTable(findings, volumeName), encoding="utf-8")
    else:
        Path(path).write_bytes(toCSV(findings).encode("utf-8-sig"))
