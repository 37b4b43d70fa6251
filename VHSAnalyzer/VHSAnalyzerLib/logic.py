"""VHSAnalyzer without a window: measure, score, straighten and report from a script, and what the panel builds on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np
import numpy.typing as npt
import slicer

from IMeasureLib.jobs import BackgroundJob, ManualTimer, Progress, TimerFactory
from IMeasureLib.logic import applicationSettings
from IMeasureLib.settings import Settings

from .answers import Answer
from .axes import setVisible
from .batch import BatchSummary, analyseFolder
from .client import VHSClient
from .landmarks import TEMPLATE
from .measurement import Measurement, measure
from .measurement_sync import MeasurementSync
from .picture import Picture, encoded
from .report import ReportContent, writeHTML
from .report_content import reportContent
from .scene_nodes import (
    PATIENT_ATTRIBUTE,
    allLandmarks,
    landmarksOf,
    makeLandmarks,
    pictureOf_,
    readAnswer,
    readMeasurement,
    readPositions,
    setVertebrae,
    storeAnswer,
    storeEmptyAnswer,
    vertebraeOf,
    writePoints,
)
from .score import Score, onPlane, scoreLandmarks
from .screen_corners import PHOTO_ROLE, allCorners, cornersOf, readCorners, showCorners, volumeFromJPEG
from .volume_picture import capture, gridOf, pictureOf

__all__ = ["Analysis", "ConsentError", "VHSAnalyzerLogic", "applicationSettings"]


class ConsentError(PermissionError):
    """The picture would go to another machine, and nobody has said that it may."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What ``analyze`` gives: the answer, and the landmarks in the scene (None when there are none to show)."""

    answer: Answer
    landmarksNode: Any
    measurement: Measurement


class VHSAnalyzerLogic:
    """Measure hearts on a server, keep landmarks in the scene, score them here. A failed request changes nothing."""

    def __init__(
        self,
        settings: Settings | None = None,
        timerFactory: TimerFactory = ManualTimer,
        scene: Any = None,
    ) -> None:
        """Without arguments: settings of the application where there is one, and ``slicer.mrmlScene``."""
        self.settings = settings if settings is not None else applicationSettings()
        self._timerFactory = timerFactory
        self._scene = scene
        self.sync = MeasurementSync(self.scene)

    @property
    def scene(self) -> Any:
        return self._scene if self._scene is not None else slicer.mrmlScene

    # --- without a server ---

    def score(self, landmarksNode: Any, vertebrae: float | None = None) -> Score:
        """Measure seven landmarks by geometry alone; any markups list with the contract's seven labels will do.

        Args:
            vertebrae: how many A–B spans; by default what the node says, else six.

        Raises:
            LandmarksError: a landmark is missing, there twice, or not placed.
        """
        count = vertebrae if vertebrae is not None else vertebraeOf(landmarksNode)
        positions = readPositions(landmarksNode)
        volume = landmarksNode.GetNodeReference("VHSAnalyzer.Picture")
        if volume is None:
            return scoreLandmarks(onPlane(positions), None, count)
        grid = gridOf(volume)
        return scoreLandmarks(grid.toFractions(positions) * grid.sizeMM, grid.sizeMM, count)

    def measurement(self, landmarksNode: Any) -> Measurement:
        """The model's answer and the landmarks as they are now, side by side."""
        return readMeasurement(landmarksNode)

    def placeByHand(self, volumeNode: Any) -> Any:
        """Landmarks for a person to drag, where no server is asked; returns their node. There is no score yet."""
        node = landmarksOf(volumeNode)
        storeEmptyAnswer(volumeNode, None)
        if node is None:
            node = makeLandmarks(volumeNode, TEMPLATE)
        else:
            storeAnswer(node, None)
            writePoints(node, TEMPLATE, gridOf(volumeNode))
        self._observe(node)
        return node

    def reset(self, landmarksNode: Any) -> None:
        """Put the landmarks back where the model, or the template, had them."""
        answer = readAnswer(landmarksNode)
        points = answer.points if answer is not None and answer.points is not None else TEMPLATE
        volume = landmarksNode.GetNodeReference("VHSAnalyzer.Picture")
        writePoints(landmarksNode, points, gridOf(volume))
        self.sync.sync(landmarksNode)

    def setVertebrae(self, landmarksNode: Any, count: int) -> None:
        """Say how many vertebrae the line A–B of these landmarks spans."""
        setVertebrae(landmarksNode, count)

    # --- ask ---

    def client(self) -> VHSClient:
        """A client for the address and key that the settings have now.

        Raises:
            ServerError: the address cannot be one.
            ConsentError: the server is on another machine and nobody has said that pictures may go there.
        """
        client = VHSClient(self.settings.serverURL, self.settings.apiKey)
        if not self.settings.hasConsent(client.address):
            raise ConsentError(
                f"The picture would be sent to {client.address}, which is not this machine. Allow it once in the "
                "panel's first line, or with settings.giveConsent(address)."
            )
        return client

    def analyze(self, volumeNode: Any, uuid: str | None = None) -> Analysis:
        """Measure a picture and wait for it; its landmarks come into the scene, instead of those that it had.

        Args:
            volumeNode: volume with one slice, grey or colour.
            uuid: names the patient for the server's history; by default what the panel has for this picture.

        Raises:
            PictureError: it is no picture. ServerError, ConsentError: no answer.
        """
        picture, client = pictureOf(volumeNode), self.client()
        answer = askFor(client, picture, self.patientOf(volumeNode) if uuid is None else uuid)
        return self.apply(volumeNode, answer)

    def startAnalysis(
        self,
        volumeNode: Any,
        onResult: Callable[[Answer], None],
        onFailure: Callable[[Exception], None],
        onProgress: Progress | None = None,
        onCancelled: Callable[[], None] | None = None,
    ) -> BackgroundJob[Answer]:
        """The same in the background; ``onResult`` usually gives the answer to ``apply``."""
        take, client, uuid = capture(volumeNode), self.client(), self.patientOf(volumeNode)
        return self.background(
            lambda cancel, progress: askFor(client, take(), uuid, cancel, progress),
            onResult,
            onFailure,
            onProgress,
            onCancelled,
        )

    def background(
        self,
        work: Callable[..., Any],
        onResult: Callable[[Any], None],
        onFailure: Callable[[Exception], None],
        onProgress: Progress | None = None,
        onCancelled: Callable[[], None] | None = None,
    ) -> BackgroundJob[Any]:
        """Start work off the GUI thread; callbacks as in ``BackgroundJob``."""
        return BackgroundJob(work, onResult, onFailure, onProgress, onCancelled, self._timerFactory).start()

    def apply(self, volumeNode: Any, answer: Answer) -> Analysis:
        """Write an answer into the scene; GUI thread only. Landmarks of an earlier answer are replaced or, when the new
        one has none, taken away: they would belong to nothing."""
        node = landmarksOf(volumeNode)
        storeEmptyAnswer(volumeNode, answer if answer.points is None else None)
        if answer.points is None:
            if node is not None:
                node.GetScene().RemoveNode(node)
            grid = gridOf(volumeNode)
            return Analysis(answer, None, measure(answer, None, grid.sizeMM))
        if node is None:
            node = makeLandmarks(volumeNode, answer.points)
        else:
            writePoints(node, answer.points, gridOf(volumeNode))
        storeAnswer(node, answer)
        self._observe(node)
        return Analysis(answer, node, readMeasurement(node))

    def _observe(self, node: Any) -> None:
        self.sync.observe(node)
        self.sync.sync(node)

    def showOnly(self, volumeNode: Any) -> None:
        """Show what is drawn on this picture, and hide what is drawn on others: they lie in the same place."""
        for node in allLandmarks(self.scene):
            setVisible(node, pictureOf_(node) is volumeNode)
        for node in allCorners(self.scene):
            if node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(node.GetNodeReference(PHOTO_ROLE) is volumeNode)

    # --- patient ---

    @staticmethod
    def patientOf(volumeNode: Any) -> str:
        """What names the patient of a picture to the server, "" for nobody."""
        return str(volumeNode.GetAttribute(PATIENT_ATTRIBUTE) or "")

    # --- photo of a screen ---

    def findCorners(self, volumeNode: Any) -> tuple[Any, bool]:
        """Ask for the screen's corners and wait; returns their node, and whether the server found them."""
        found = cornersFor(self.client(), pictureOf(volumeNode))
        return showCorners(volumeNode, found), found is not None

    def straighten(self, volumeNode: Any) -> Any:
        """Correct the perspective by the corners in the scene and wait; returns the flat picture's volume.

        Raises:
            CornersError: there are no corners, or they cannot be a screen's.
        """
        fractions = self.cornersFractions(volumeNode)
        jpeg = straightened(self.client(), pictureOf(volumeNode), fractions)
        return volumeFromJPEG(volumeNode.GetScene(), jpeg, volumeNode)

    @staticmethod
    def cornersFractions(volumeNode: Any) -> npt.NDArray[np.float64]:
        """The corners in the scene as fractions of the photo; put there when there are none."""
        node = cornersOf(volumeNode)
        return readCorners(node if node is not None else showCorners(volumeNode, None), volumeNode)

    # --- many, and on paper ---

    def analyzeFolder(
        self,
        folder: str | Path,
        csvPath: str | Path,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> BatchSummary:
        """Measure every picture of a folder into a CSV file and wait; a file's own trouble is a row of it."""
        return analyseFolder(self.client(), folder, csvPath, cancel, progress)

    def reportContent(self, landmarksNode: Any) -> ReportContent:
        """What a report of these landmarks says."""
        return reportContent(landmarksNode)

    def report(self, landmarksNode: Any, path: str | Path) -> None:
        """Write a report, as PDF when the name ends in ``.pdf``, else as HTML in one file.

        Raises:
            OSError: it could not be written.
        """
        content = reportContent(landmarksNode)
        if str(path).lower().endswith(".pdf"):
            from .report_pdf import writePDF  # needs Qt

            writePDF(content, path)
        else:
            writeHTML(content, path)


def askFor(
    client: VHSClient,
    picture: Picture,
    uuid: str = "",
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Answer:
    """Encode a picture, ask, and give the answer in fractions of the picture; blocks."""
    if progress is not None:
        progress("Preparing the picture.")
    file = encoded(picture)
    if progress is not None:
        progress("Measuring.")
    return client.predict(file.content, uuid, cancel, progress).within(file.reach)


def cornersFor(
    client: VHSClient, picture: Picture, cancel: threading.Event | None = None, progress: Progress | None = None
) -> npt.NDArray[np.float64] | None:
    """Corners of the screen as fractions of the photo, None when there is no screen; blocks."""
    file = encoded(picture)
    corners = client.corners(file.content, cancel, progress)
    return None if corners is None else corners / (file.width, file.height) * file.reach


def straightened(
    client: VHSClient,
    picture: Picture,
    fractions: npt.NDArray[np.float64],
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> bytes:
    """The flat screen as a JPEG; corners as fractions of the photo; blocks."""
    file = encoded(picture)
    corners = fractions / file.reach * (file.width, file.height)
    return client.rectify(file.content, corners, cancel, progress)
