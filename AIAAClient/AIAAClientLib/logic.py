"""AIAAClient without a window: segment on any AIAA or MONAI Label server from a script, and what panel and effects
build on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Callable

import numpy.typing as npt
import slicer

from IMeasureLib.http_client import ServerError
from IMeasureLib.jobs import BackgroundJob, ManualTimer, Progress, TimerFactory
from IMeasureLib.volume_access import VolumeError

from .asking import MaskAnswer, ask, sourceOf
from .client_settings import ClientSettings
from .detection import Connection
from .model_info import KINDS, PROMPTS, ModelInfo
from .monailabel_client import NEEDS_PROMPTS
from .region import Region
from .segments import SegmentsResult, addSegments, newSegmentation, replaceSegment
from .server_link import ConsentError, ServerLink, applicationSettings
from .task import Line, Model, Task, TaskError, prepare

__all__ = ["AIAAClientLogic", "ConsentError", "MaskAnswer", "Task", "TaskError", "applicationSettings"]

Work = Callable[[threading.Event, Progress], MaskAnswer]


class AIAAClientLogic(ServerLink):
    """Ask models of a server about volumes, and keep what they say in the scene.

    Positions are world RAS mm, masks (k, j, i) arrays on the volume's grid. A failed question changes nothing.

    Attributes:
        chosenModel: name of the model for which the panel opened the Segment Editor last, "" for none.
    """

    def __init__(
        self,
        settings: ClientSettings | None = None,
        timerFactory: TimerFactory = ManualTimer,
        scene: Any = None,
    ) -> None:
        """Without arguments: settings of the application where there is one, and ``slicer.mrmlScene``."""
        super().__init__(settings, timerFactory)
        self._scene = scene
        self._regions: dict[Any, Region] = {}
        self.chosenModel = ""

    @property
    def scene(self) -> Any:
        return self._scene if self._scene is not None else slicer.mrmlScene

    # --- ask

    def request(
        self,
        task: Task,
        onResult: Callable[[MaskAnswer], None],
        onFailure: Callable[[Exception], None],
        onProgress: Progress | None = None,
        onCancelled: Callable[[], None] | None = None,
    ) -> BackgroundJob[MaskAnswer]:
        """Ask in the background; one of the callbacks is called on the GUI thread. ``cancel()`` of the job stops it.

        Raises:
            VolumeError, GeometryError, TaskError: it cannot be asked.
            ServerError, ConsentError: the server cannot or must not be asked.
        """

        def failed(error: Exception) -> None:
            self._learn(task, error)
            if isinstance(error, ServerError) and error.status is None and not self.isConnecting:
                self.requestConnection()  # it may be gone: whoever shows the server's state should know
            onFailure(error)

        work = self._work(task, self._answering())
        return BackgroundJob(work, onResult, failed, onProgress, onCancelled, self._timerFactory).start()

    def run(self, task: Task, progress: Progress | None = None) -> MaskAnswer:
        """Ask, and wait for the answer. Raises what ``request`` raises, and ServerError when there is no answer."""
        work = self._work(task, self.connection or self.connect())
        try:
            return work(threading.Event(), progress or _quiet)
        except ServerError as error:
            self._learn(task, error)
            raise

    def _learn(self, task: Task, error: Exception) -> None:
        """What an error says of the model."""
        if isinstance(error, ServerError) and error.code == NEEDS_PROMPTS:
            self.learnPrompts(_modelName(task.model))

    def _answering(self) -> Connection:
        """The server that answered. ServerError where none did: the GUI thread does not wait for it."""
        if self.connection is None:
            words = f"The server at {self.settings.serverURL} has not answered yet."
            raise ServerError(self.connectionTrouble or words)
        return self.connection

    def _work(self, task: Task, connection: Connection) -> Work:
        """Take from the scene what the question needs; the rest is done on the caller's thread."""
        self._checkConsent(connection.address)
        model = self._model(task.model, connection)
        self._checkKinds(task, model)
        prepared = prepare(task, self._regions.get(_nameOf(task.volumeNode)) if task.onlyRegion else None)
        if prepared.region is not None:
            self._regions[_nameOf(task.volumeNode)] = prepared.region
        source = sourceOf(prepared)
        return lambda cancel, progress: ask(connection.client, model, prepared, source, cancel, progress)

    def _checkConsent(self, address: str) -> None:
        if not self.settings.hasConsent(address):
            raise ConsentError(
                f"The volume would be sent to {address}, which is not this machine. Allow it once in the AIAAClient "
                "module, or with logic.settings.giveConsent(address)."
            )

    @staticmethod
    def _model(wanted: Model, connection: Connection) -> ModelInfo:
        name = _modelName(wanted)
        for model in connection.models:
            if model.name == name:
                return model
        names = ", ".join(sorted(model.name for model in connection.models)) or "none"
        raise TaskError(f"The server at {connection.address} has no model called {name}. It has: {names}.")

    @staticmethod
    def _checkKinds(task: Task, model: ModelInfo) -> None:
        if task.kind == PROMPTS and task.kind in model.kinds:
            missing = task.promptKinds - model.prompts
            if missing:
                raise TaskError(f"The model {model.name} takes no {' and no '.join(sorted(missing))}.")
            if model.knowsSeveral and task.labelName not in model.labels:
                names = ", ".join(model.labels)
                raise TaskError(f"{model.name} knows several structures. Give the segment the name of one: {names}.")
        elif task.kind in KINDS[:-1] and task.kind not in model.kinds:
            raise TaskError(f"The model {model.name} is of the type {model.type}: it cannot be asked for this.")

    # --- write down

    def apply(
        self,
        task: Task,
        answer: MaskAnswer,
        segmentationNode: Any = None,
        segmentId: str | None = None,
        onWritten: Callable[[], None] | None = None,
    ) -> SegmentsResult:
        """Write an answer into the scene; GUI thread only.

        Args:
            segmentationNode: gets the segments; by default a new one is made.
            segmentId: the one segment to replace, whatever the labels.
            onWritten: called after each segment.

        Raises:
            VolumeError: it cannot be written. Nothing was changed then.
        """
        if answer.mask is None:
            return SegmentsResult(segmentationNode, {}, answer)
        made = segmentationNode is None
        if segmentationNode is None:
            segmentationNode = newSegmentation(task.volumeNode, f"{task.volumeNode.GetName()} {answer.model.name}")
        try:
            if segmentId is not None:
                replaceSegment(task.volumeNode, segmentationNode, segmentId, answer.mask)
                name = segmentationNode.GetSegmentation().GetSegment(segmentId).GetName()
                return SegmentsResult(segmentationNode, {name: segmentId}, answer)
            ids = addSegments(task.volumeNode, segmentationNode, answer.regions, answer.model.name, onWritten)
        except VolumeError:
            if made:
                segmentationNode.GetScene().RemoveNode(segmentationNode)
            raise
        return SegmentsResult(segmentationNode, ids, answer)

    # --- console

    def segment(self, volumeNode: Any, model: Model, segmentationNode: Any = None) -> SegmentsResult:
        """Segment everything that a model knows, wait for it, and write it into the scene."""
        return self._asked(Task.segmentation(volumeNode, model), segmentationNode)

    def infer(
        self,
        volumeNode: Any,
        model: Model,
        params: Mapping[str, Any] | None = None,
        segmentationNode: Any = None,
    ) -> SegmentsResult:
        """Ask any model with parameters of its own; ``answer.result`` is what it says beside a mask."""
        return self._asked(Task.inference(volumeNode, model, params), segmentationNode)

    def dextr3d(
        self,
        volumeNode: Any,
        model: Model,
        points: Line,
        segmentationNode: Any = None,
        segmentId: str | None = None,
    ) -> SegmentsResult:
        """Segment what is inside six or more points of its surface (world RAS mm)."""
        return self._asked(Task.dextr3d(volumeNode, model, points), segmentationNode, segmentId)

    def deepgrow(
        self,
        volumeNode: Any,
        model: Model,
        foreground: Line,
        background: Line = (),
        segmentationNode: Any = None,
        segmentId: str | None = None,
    ) -> SegmentsResult:
        """Segment what is around some positions and not around others (world RAS mm)."""
        return self._asked(Task.deepgrow(volumeNode, model, foreground, background), segmentationNode, segmentId)

    def prompts(
        self,
        volumeNode: Any,
        model: Model,
        segmentationNode: Any = None,
        segmentId: str | None = None,
        **prompts: Any,
    ) -> SegmentsResult:
        """Segment by clicks, boxes, lassos and strokes: those of ``Task.prompts``, by name."""
        return self._asked(Task.prompts(volumeNode, model, **prompts), segmentationNode, segmentId)

    def scribbles(
        self,
        volumeNode: Any,
        model: Model,
        foreground: npt.NDArray[Any],
        background: npt.NDArray[Any],
        segmentationNode: Any = None,
        segmentId: str | None = None,
    ) -> SegmentsResult:
        """Segment by two masks of strokes (k, j, i): inside the object, and outside it."""
        return self._asked(Task.scribbles(volumeNode, model, foreground, background), segmentationNode, segmentId)

    def _asked(self, task: Task, segmentationNode: Any, segmentId: str | None = None) -> SegmentsResult:
        return self.apply(task, self.run(task), segmentationNode, segmentId)


def _modelName(model: Model) -> str:
    return model if isinstance(model, str) else model.name


def _nameOf(volumeNode: Any) -> Any:
    """What a region is remembered by: another grid in the same node has other regions."""
    image = volumeNode.GetImageData() if volumeNode is not None else None
    return (volumeNode.GetID(), image.GetDimensions()) if image is not None else None


def _quiet(_line: str) -> None:
    pass
