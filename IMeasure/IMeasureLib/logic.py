"""IMeasure without a window: segment and measure from a script, and what the panel and the effect build on."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

import numpy as np
import numpy.typing as npt
import slicer

from .finding_nodes import (
    COLORS,
    FILL_OPACITY,
    TERMINOLOGY,
    checkMeasured,
    findingSegments,
    nodesOfClass,
    placeBeside,
    readableFinding,
    readFinding,
    segmentOf,
    storeFinding,
    syncLines,
    syncSegmentation,
    volumeOf,
    writing,
)
from .findings import Finding, toCSV, toJSONTable
from .imeasure_client import IMeasureClient, SegmentationAnswer
from .jobs import BackgroundJob, ManualTimer, Progress, TimerFactory
from .prompts import PromptError, PromptHistory, Step, withPoints
from .segment_history import SegmentHistory
from .segment_request import FindingReference, SegmentRequest, SegmentResult
from .settings import Settings
from .volume_access import (
    VolumeError,
    adoptGeometry,
    geometryOf,
    localToWorld,
    readMask,
    voxelsOf,
    worldToLocal,
    writeMask,
)

__all__ = [
    "ConsentError",
    "FindingReference",
    "IMeasureLogic",
    "SegmentRequest",
    "SegmentResult",
    "applicationSettings",
]

DEFAULT_NAME = "Lesion"


class ConsentError(PermissionError):
    """Images would go to another machine, and nobody has said that they may."""


class IMeasureLogic:
    """Segment lesions on a server, keep them in the scene.

    A failed request changes nothing. Every change can be undone. Positions that people give and get (``segment``,
    ``jumpTo``) are world RAS; everything else is local RAS: the volume's own space, before its parent transform.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        client: IMeasureClient | None = None,
        timerFactory: TimerFactory = ManualTimer,
        scene: Any = None,
    ) -> None:
        """Without arguments: settings of the application where there is one, and the scene of the nodes that are given.

        Args:
            client: for tests; by default one is made for the address that the settings have at each request.
            timerFactory: ``qt_timer.qtTimer`` in a GUI.
            scene: for ``findings()`` without a segmentation; by default ``slicer.mrmlScene``.
        """
        self.settings = settings if settings is not None else applicationSettings()
        self._client = client
        self._timerFactory = timerFactory
        self._scene = scene
        self.history = SegmentHistory()

    @property
    def scene(self) -> Any:
        return self._scene if self._scene is not None else slicer.mrmlScene

    # --- ask ---

    def segment(
        self,
        volumeNode: Any,
        positive: Iterable[npt.ArrayLike] = (),
        negative: Iterable[npt.ArrayLike] = (),
        pen: Iterable[Iterable[npt.ArrayLike]] = (),
        twoClick: Iterable[npt.ArrayLike] | None = None,
        segmentationNode: Any = None,
        segmentId: str | None = None,
        overwrite: bool = False,
    ) -> SegmentResult:
        """Segment and measure, and wait for it.

        Args:
            volumeNode: scalar volume, under any parent transform.
            positive, negative: positions in world RAS mm that are inside and outside the lesion.
            pen: strokes of at least three positions, each on one slice of the volume.
            twoClick: the two ends of the longest diameter.
            segmentationNode, segmentId: what to refine. What is missing is made.
            overwrite: take voxels from other segments, which otherwise keep theirs: the two overlap.

        Returns:
            the segment's id, measurements, and more. New prompts are added to those that the segment has.

        Raises:
            PromptError, VolumeError, GeometryError: what was given cannot be used.
            ServerError: the server did not answer with a mask; ConsentError: it must not be asked.
        """
        added = PromptHistory.of(positive, negative, pen, twoClick)
        steps = [
            withPoints(step, [tuple(point) for point in worldToLocal(volumeNode, step.points)]) for step in added.steps
        ]
        if not steps:
            raise PromptError("Give at least one position: positive, negative, pen or twoClick.")
        request = self.requestFor(volumeNode, steps, segmentationNode, segmentId)
        answer = _ask(self.client(), request, None, None)
        return self.apply(request, answer, overwrite)

    def requestFor(
        self,
        volumeNode: Any,
        steps: Iterable[Step],
        segmentationNode: Any = None,
        segmentId: str | None = None,
    ) -> SegmentRequest:
        """A request with newer steps (local RAS) added to the segment's own, refining its present mask."""
        finding = readFinding(segmentationNode, segmentId) if segmentationNode is not None and segmentId else None
        history = (finding.history if finding is not None else PromptHistory()).appended(*steps)
        return self._request(volumeNode, history, segmentationNode, segmentId, refine=True)

    def requestAnew(
        self,
        volumeNode: Any,
        history: PromptHistory,
        segmentationNode: Any,
        segmentId: str,
    ) -> SegmentRequest:
        """A request from prompts alone, after some were moved or deleted: the present mask has no say."""
        return self._request(volumeNode, history, segmentationNode, segmentId, refine=False)

    def _request(
        self,
        volumeNode: Any,
        history: PromptHistory,
        segmentationNode: Any,
        segmentId: str | None,
        refine: bool,
    ) -> SegmentRequest:
        voxels, geometry = voxelsOf(volumeNode), geometryOf(volumeNode)
        if segmentId is not None and segmentOf(segmentationNode, segmentId) is None:
            raise VolumeError("The segment is no longer there.")
        previous = None
        if refine and segmentId is not None:
            previous = readMask(segmentationNode, segmentId, volumeNode)
            previous = None if previous.isEmpty else previous
        if history.isEmpty and previous is None:
            raise PromptError("Click inside the lesion first; an excluding click alone does not say where it is.")
        if not np.all(geometry.contains(history.points)):
            raise PromptError(f"The position is outside the volume {volumeNode.GetName()}.")
        finding = readFinding(segmentationNode, segmentId) if segmentId is not None else None
        return SegmentRequest(
            volumeNode,
            segmentationNode,
            segmentId,
            voxels,
            geometry,
            history,
            previous,
            finding.id if finding is not None else None,
        )

    def client(self) -> IMeasureClient:
        """A client for the address and key that the settings have now.

        Raises:
            ServerError: the address cannot be one.
            ConsentError: the server is on another machine and nobody has said that images may go there.
        """
        if self._client is not None:
            return self._client
        client = IMeasureClient(self.settings.serverURL, self.settings.apiKey)
        if not self.settings.hasConsent(client.address):
            raise ConsentError(
                f"The volume would be sent to {client.address}, which is not this machine. Allow it once in the "
                "IMeasure module, or with IMeasureLogic().settings.giveConsent(address)."
            )
        return client

    def start(
        self,
        request: SegmentRequest,
        onResult: Callable[[SegmentationAnswer], None],
        onFailure: Callable[[Exception], None],
        onProgress: Progress | None = None,
        onCancelled: Callable[[], None] | None = None,
    ) -> BackgroundJob[SegmentationAnswer]:
        """Ask in the background; ``onResult`` gets the answer on the GUI thread and usually gives it to ``apply``.

        ConsentError or ServerError at once when the server must not or cannot be asked.
        """
        client = self.client()
        return BackgroundJob(
            lambda cancel, progress: _ask(client, request, cancel, progress),
            onResult,
            onFailure,
            onProgress,
            onCancelled,
            self._timerFactory,
        ).start()

    # --- write down ---

    def apply(
        self,
        request: SegmentRequest,
        answer: SegmentationAnswer,
        overwrite: bool = False,
        recordUndo: bool = True,
    ) -> SegmentResult:
        """Write an answer into the scene: mask, finding and lines; GUI thread only.

        Args:
            overwrite: take voxels from other segments, which otherwise keep theirs: the two overlap.
            recordUndo: False when the Segment Editor keeps the undo of it.

        Raises:
            VolumeError: the volume or the segment is gone, or nothing of the mask can be written. Nothing has changed.
        """
        volumeNode, segmentationNode = request.volumeNode, request.segmentationNode
        if volumeNode.GetScene() is None or (segmentationNode is not None and segmentationNode.GetScene() is None):
            raise VolumeError("The volume or the segmentation was removed meanwhile.")
        if request.segmentId is not None and segmentOf(segmentationNode, request.segmentId) is None:
            raise VolumeError("The segment was removed meanwhile.")
        madeSegmentation = segmentationNode is None
        if madeSegmentation:
            segmentationNode = self.newSegmentation(volumeNode)
        adoptGeometry(segmentationNode, volumeNode)
        segmentId = request.segmentId or newSegmentId(segmentationNode)
        others = segmentationNode.GetSegmentation().GetSegmentIDs() if overwrite else ()
        before = self.history.snapshot(segmentationNode, {segmentId, *others})
        try:
            if request.segmentId is None:
                self.newSegment(segmentationNode, segmentId)
            with writing(segmentationNode):
                writeMask(answer.mask, volumeNode, segmentationNode, segmentId, overwrite)
                for other in findingSegments(segmentationNode):
                    if other != segmentId:
                        checkMeasured(segmentationNode, other)
                present = readableFinding(segmentationNode, segmentId) or Finding()
                finding = present.with_(history=request.history, measurements=answer.measurements)
                storeFinding(segmentationNode, segmentId, finding, volumeNode)
                syncSegmentation(segmentationNode)
        except Exception:
            self.history.restore(segmentationNode, before)
            if madeSegmentation:
                segmentationNode.GetScene().RemoveNode(segmentationNode)
            raise
        if recordUndo:
            self.history.push(segmentationNode, before)
        stored = readFinding(segmentationNode, segmentId) or finding
        return SegmentResult(segmentationNode, segmentId, stored, answer)

    def newSegmentation(self, volumeNode: Any) -> Any:
        """An empty segmentation with the volume's grid, parent transform and subject hierarchy place."""
        scene = volumeNode.GetScene()
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volumeNode.GetName()} findings")
        node.CreateDefaultDisplayNodes()
        if node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetOpacity2DFill(FILL_OPACITY)
        adoptGeometry(node, volumeNode)
        placeBeside(node, volumeNode)
        return node

    def newSegment(self, segmentationNode: Any, segmentId: str) -> None:
        """Add an empty segment "Lesion N" with standard terminology."""
        segmentation = segmentationNode.GetSegmentation()
        taken = {segmentation.GetSegment(present).GetName() for present in segmentation.GetSegmentIDs()}
        number = next(n for n in range(1, len(taken) + 2) if f"{DEFAULT_NAME} {n}" not in taken)
        color = COLORS[(number - 1) % len(COLORS)]
        segmentation.AddEmptySegment(segmentId, f"{DEFAULT_NAME} {number}", color)
        segmentation.GetSegment(segmentId).SetTag("TerminologyEntry", TERMINOLOGY)

    # --- findings ---

    def findings(self, segmentationNode: Any = None) -> list[FindingReference]:
        """All findings of a segmentation, or of the scene, in order. Tags that cannot be read are left out."""
        if segmentationNode is not None:
            nodes = [segmentationNode]
        else:
            nodes = nodesOfClass(self.scene, "vtkMRMLSegmentationNode")
        found = []
        for node in nodes:
            for segmentId in findingSegments(node):
                finding = readableFinding(node, segmentId)
                if finding is not None:
                    found.append(FindingReference(node, segmentId, finding))
        return found

    def rename(self, segmentationNode: Any, segmentId: str, name: str) -> None:
        """Give a finding, its segment and its lines another name."""
        segmentOf(segmentationNode, segmentId).SetName(name)
        syncLines(segmentationNode, segmentId)

    def setColor(self, segmentationNode: Any, segmentId: str, color: Iterable[float]) -> None:
        """Red, green, blue in 0 to 1, for segment and lines."""
        segmentOf(segmentationNode, segmentId).SetColor(*color)
        syncLines(segmentationNode, segmentId)

    def setVisible(self, segmentationNode: Any, segmentId: str, visible: bool) -> None:
        """Show or hide a finding's mask and lines."""
        segmentationNode.CreateDefaultDisplayNodes()
        display = segmentationNode.GetDisplayNode()
        if visible and not display.GetVisibility():
            display.SetVisibility(True)
        display.SetSegmentVisibility(segmentId, visible)
        syncLines(segmentationNode, segmentId)

    def remove(self, segmentationNode: Any, segmentId: str) -> None:
        """Delete a finding with its segment and lines; can be undone."""
        before = self.history.snapshot(segmentationNode, [segmentId])
        segmentationNode.GetSegmentation().RemoveSegment(segmentId)
        syncLines(segmentationNode, segmentId)
        self.history.push(segmentationNode, before)

    def jumpTo(self, segmentationNode: Any, segmentId: str) -> npt.NDArray[np.float64] | None:
        """Centre all slice views on a finding; the world RAS position, or None when nothing says where it is."""
        position = self.positionOf(segmentationNode, segmentId)
        if position is not None:
            node = slicer.vtkMRMLSliceNode
            node.JumpAllSlices(segmentationNode.GetScene(), *position.tolist(), node.CenteredJumpSlice)
        return position

    def positionOf(self, segmentationNode: Any, segmentId: str) -> npt.NDArray[np.float64] | None:
        """World RAS of the middle of a finding's long axis; without measurements, of its prompts."""
        finding = readableFinding(segmentationNode, segmentId)
        if finding is None:
            return None
        line = finding.measurements.long if finding.measurements is not None else None
        points = np.array([line.start, line.end] if line is not None else list(finding.history.points))
        if points.size == 0:
            return None
        owner = volumeOf(segmentationNode, finding) or segmentationNode
        return np.asarray(localToWorld(owner, points.mean(axis=0))[0])

    def undo(self) -> bool:
        """Take back the last change: mask, prompts, measurements and lines. False when there is none."""
        return self.history.undo()

    def redo(self) -> bool:
        """Make the change again that was taken back last."""
        return self.history.redo()

    def exportCSV(self, path: str | Path, segmentationNode: Any = None) -> None:
        """Write a table of the findings, UTF-8 with the byte order mark that spreadsheets want; OSError as it comes."""
        table = toCSV(reference.row for reference in self.findings(segmentationNode))
        Path(path).write_bytes(table.encode("utf-8-sig"))

    def exportJSON(self, path: str | Path, segmentationNode: Any = None) -> None:
        """Write the findings with prompts and measurements; OSError as it comes."""
        findings = [reference.finding for reference in self.findings(segmentationNode)]
        Path(path).write_text(toJSONTable(findings), encoding="utf-8")


def newSegmentId(segmentationNode: Any) -> str:
    """An id that no segment of the segmentation has."""
    return str(segmentationNode.GetSegmentation().GenerateUniqueSegmentID("IMeasure_1"))


def applicationSettings() -> Settings:
    """Settings of the running application; in a script without one, of the environment alone."""
    try:
        import qt
    except ImportError:
        return Settings()
    return Settings(qt.QSettings())


def _ask(
    client: IMeasureClient, request: SegmentRequest, cancel: threading.Event | None, progress: Progress | None
) -> SegmentationAnswer:
    return client.segment(
        request.voxels, request.geometry, request.history, request.previousMask, request.findingId, cancel, progress
    )
