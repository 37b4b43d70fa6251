"""A folder of pictures into a CSV file: a row for each file, written as it comes, so that a part is a whole CSV too."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IMeasureLib.http_client import ServerError
from IMeasureLib.jobs import Cancelled, Progress

from .answers import Answer
from .client import VHSClient
from .landmarks import LANDMARK_NAMES
from .picture import PictureError
from .picture_files import picturesIn, sendable

COLUMNS = (
    "file",
    "vhs",
    "vlas",
    "model_confidence",
    "spread",
    "result_code",
    "result",
    "pop_detected",
    *(f"{name} {axis}" for name in LANDMARK_NAMES for axis in ("x", "y")),
    "model_version",
    "analysed_at",
    "error",
)


@dataclass(frozen=True)
class BatchSummary:
    """How a batch ended.

    Attributes:
        files: how many there are.
        measured: how many have a VHS; failed: how many the server or this computer could not read.
    """

    files: int
    measured: int
    failed: int

    @property
    def sentence(self) -> str:
        without = self.files - self.measured - self.failed
        parts = [f"{self.files} files: {self.measured} measured"]
        parts += [f"{without} without a score"] if without else []
        parts += [f"{self.failed} with an error (see the last column)"] if self.failed else []
        return ", ".join(parts) + "."


def analyseFolder(
    client: VHSClient,
    folder: str | Path,
    csvPath: str | Path,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> BatchSummary:
    """Measure every picture and DICOM file of a folder; blocks: for a background job.

    A file that cannot be used is a row with an error. Where the server itself is gone, or does not accept the key, the
    batch ends; the rows so far stay.

    Raises:
        PictureError: there is no such folder, or nothing in it.
        ServerError: the server is gone. Cancelled: ``cancel`` was set. OSError: the CSV cannot be written.
    """
    paths = picturesIn(folder)
    if not paths:
        raise PictureError(f"There are no PNG, JPEG or DICOM files in {folder}.")
    measured = failed = 0
    with open(csvPath, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, path in enumerate(paths, start=1):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            if progress is not None:
                progress(f"{number} of {len(paths)}: {path.name}")
            row = _rowOf(client, path, cancel)
            writer.writerow([row.get(column, "") for column in COLUMNS])
            file.flush()
            measured += row.get("vhs", "") != ""
            failed += row.get("error", "") != ""
    return BatchSummary(len(paths), measured, failed)


def _rowOf(client: VHSClient, path: Path, cancel: threading.Event | None) -> dict[str, Any]:
    try:
        file = sendable(path)
        answer = client.predict(file.content, cancel=cancel).within(file.reach)
    except PictureError as error:
        return {"file": path.name, "error": str(error)}
    except OSError as error:
        return {"file": path.name, "error": f"The file cannot be read: {error.strerror or error}."}
    except ServerError as error:
        if error.status is None or error.status in (401, 403, 404, 405):
            raise
        return {"file": path.name, "error": error.message}
    return {"file": path.name, **dict(_cells(answer))}


def _cells(answer: Answer) -> Iterator[tuple[str, Any]]:
    """Column → value; what there is not is left out."""
    if answer.vhs is not None:
        yield "vhs", f"{answer.vhs:.2f}"
    if answer.vlas is not None:
        yield "vlas", f"{answer.vlas:.2f}"
    if answer.spread is not None:
        yield "spread", f"{answer.spread:.5f}"
    yield "model_confidence", answer.confidence
    yield "result_code", answer.code
    yield "result", answer.sentence
    yield "pop_detected", str(answer.popDetected).lower()
    if answer.points is not None:
        for name, (x, y) in zip(LANDMARK_NAMES, answer.points):
            yield f"{name} x", f"{x:.5f}"
            yield f"{name} y", f"{y:.5f}"
    yield "model_version", answer.modelVersion
    yield "analysed_at", answer.analysedAt
