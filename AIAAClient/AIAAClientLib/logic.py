"""AIAAClient without a window: segment on any AIAA or MONAI Label server from a script, and what panel and effects
build on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

import numpy.typing as npt
import slicer

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.geometry import GeometryError
from IMeasureLib.http_client import ServerError
from IMeasureLib.jobs import BackgroundJob, ManualTimer, Progress, TimerFactory
from IMeasureLib.volume_access import VolumeError

from .client_settings import ClientSettings
from .detection import Connection, baseAddress, refreshed
from .detection import connect as connectTo
from .mask_grid import Mask
from .mask_labels import labelsIn, regionsOf
from .model_info import KINDS, PROMPTS, ModelInfo
from .nifti import encodeNifti
from .region import Region
from .segmentation_server import SegmentationServer
from .segments import SegmentsResult, addSegments, newSegmentation, replaceSegment
from .sessions import SessionBook, Source
from .task import Line, Model, PreparedTask, Task, TaskError, prepare

__all__ = ["AIAAClientLogic", "ConsentError", "MaskAnswer", "Task", "TaskError"]

Work = Callable[[threading.Event, Progress], "MaskAnswer"]


class ConsentError(PermissionError):
    """Images would go to another machine, and nobody has said that they may."""


EXPECTED_ERRORS = (ConsentError, GeometryError, ServerError, TaskError, VolumeError)
"""Their messages are sentences for the person at the screen."""


@dataclass(frozen=True, eq=False)
class MaskAnswer:
    """What a model said.

    Attributes:
        mask: (k, j, i) label values on the whole volume's grid; None when the model makes no mask.
        labels: name → value of the labels that are in it.
        regions: name → voxels of each label in a tight box.
        result: the server's JSON.
        seconds: from asking to having it.
        model: that was asked.
        sent: bytes of the volume that were sent for it; 0 where the server had it.
    """

    mask: Mask | None = field(repr=False)
    labels: Mapping[str, int]
    regions: Mapping[str, MaskRegion] = field(repr=False)
    result: Mapping[str, Any]
    seconds: float
    model: ModelInfo
    sent: int


class AIAAClientLogic:
    """Ask models of a server about volumes, and keep what they say in the scene.

    Positions are world RAS mm, masks (k, j, i) arrays on the volume's grid. A failed question changes nothing.
    """

    def __init__(
        self,
        settings: ClientSettings | None = None,
        timerFactory: TimerFactory = ManualTimer,
        scene: Any = None,
    ) -> None:
        """Without arguments: settings of the application where there is one, and ``slicer.mrmlScene``."""
        self.settings = settings if settings is not None else applicationSettings()
        self._timerFactory = timerFactory
        self._scene = scene
        self._sessions = SessionBook()
        self._connection: Connection | None = None
        self._trouble = ""
        self._looking = 0
        self._told: Any = (None, "", False)
        self._listeners: list[Callable[[], None]] = []
        self._regions: dict[Any, Region] = {}

    @property
    def scene(self) -> Any:
        return self._scene if self._scene is not None else slicer.mrmlScene

    # --- server

    @property
    def connection(self) -> Connection | None:
        """The server that answered last, None when none did or the settings name another one now."""
        connection = self._connection
        if connection is None:
            return None
        try:
            return connection if connection.address == baseAddress(self.settings.serverURL) else None
        except ServerError:
            return None

    @property
    def connectionTrouble(self) -> str:
        """Why the last server could not be used, in a sentence; "" when it could, or is not known yet."""
        return "" if self.connection is not None else self._trouble

    @property
    def isConnecting(self) -> bool:
        """Whether a server is being asked (``requestConnection``)."""
        return self._looking > 0

    def connect(self, address: str = "", apiKey: str = "") -> Connection:
        """Use a server from now on, and wait for its answer; without an address, that of the settings.

        Raises:
            ServerError: it does not answer, or is no AIAA or MONAI Label server; says what is wrong. The settings
                are as before then.
        """
        url = address or self.settings.serverURL
        key = apiKey or (self.settings.keyFor(url) if address else self.settings.apiKey)
        connection = connectTo(url, key, self._sessions)
        if address:
            self.settings.serverURL = connection.address
        if apiKey:
            self.settings.apiKey = apiKey
        self.adopt(connection)
        return connection

    def requestConnection(
        self,
        onResult: Callable[[Connection], None] | None = None,
        onFailure: Callable[[Exception], None] | None = None,
        onCancelled: Callable[[], None] | None = None,
    ) -> BackgroundJob[Connection]:
        """Ask the server of the settings in the background; it is used (``connection``) once it answered."""
        look = self.probe(self.settings.serverURL, self.settings.apiKey)

        def answered(connection: Connection) -> None:
            self._looking -= 1
            self.adopt(connection)
            if onResult is not None:
                onResult(connection)

        def failed(error: Exception) -> None:
            self._looking -= 1
            self.adopt(None, self.sentenceFor(error))
            if onFailure is not None:
                onFailure(error)

        def cancelled() -> None:
            self._looking -= 1
            self._tell()
            if onCancelled is not None:
                onCancelled()

        self._looking += 1
        self._tell()
        return BackgroundJob(
            lambda cancel, progress: look(cancel), answered, failed, None, cancelled, self._timerFactory
        ).start()

    def probe(self, url: str, key: str) -> Callable[[threading.Event | None], Connection]:
        """What asks a server whether it is there: to be called on another thread."""
        known = self.connection
        if known is not None and known.client.apiKey == key and url == self.settings.serverURL:
            return lambda cancel: refreshed(known, cancel)
        return lambda cancel: connectTo(url, key, self._sessions, cancel)

    def adopt(self, connection: Connection | None, trouble: str = "") -> None:
        """Use a server that answered, or none (``trouble`` says why), and tell the listeners. GUI thread."""
        self._connection, self._trouble = connection, trouble
        if connection is not None:
            self.settings.remember(connection.address)
        self._tell()

    def _tell(self) -> None:
        """Call the listeners, when there is something new."""
        connection = self._connection
        known = None if connection is None else (connection.address, connection.protocols, connection.models)
        state = (known, self._trouble, self.isConnecting)
        if state != self._told:
            self._told = state
            for listener in list(self._listeners):
                listener()

    def addListener(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever the server, its models, its trouble or ``isConnecting`` changed."""
        if callback not in self._listeners:
            self._listeners.append(callback)

    def removeListener(self, callback: Callable[[], None]) -> None:
        """Call it no more."""
        if callback in self._listeners:
            self._listeners.remove(callback)

    def models(self, kind: str = "") -> list[ModelInfo]:
        """Ask the server for its models and wait; ``kind`` (one of ``model_info.KINDS``) for those that can do that.

        Raises:
            ServerError: there is no answer.
        """
        self.connect()
        return self.knownModels(kind)

    def knownModels(self, kind: str = "") -> list[ModelInfo]:
        """The same from the last answer, at once."""
        connection = self.connection
        models = connection.models if connection is not None else ()
        return [model for model in models if not kind or kind in model.kinds]

    def close(self) -> None:
        """Let the server forget what it was sent; Slicer exits. Does not wait for it."""
        connection = self._connection
        if connection is not None:
            threading.Thread(target=connection.client.closeSessions, daemon=True).start()

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
        return BackgroundJob(self._work(task), onResult, onFailure, onProgress, onCancelled, self._timerFactory).start()

    def run(self, task: Task, progress: Progress | None = None) -> MaskAnswer:
        """Ask, and wait for the answer. Raises what ``request`` raises, and ServerError when there is no answer."""
        return self._work(task)(threading.Event(), progress or _quiet)

    def _work(self, task: Task) -> Work:
        """Take from the scene what the question needs; the rest is done on the caller's thread."""
        connection = self.connection or self.connect()
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
        name = wanted if isinstance(wanted, str) else wanted.name
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
        elif task.kind in KINDS[:-1] and task.kind not in model.kinds:
            raise TaskError(f"The model {model.name} is of the type {model.type}: it cannot be asked for this.")

    # --- write down

    def apply(
        self,
        task: Task,
        answer: MaskAnswer,
        segmentationNode: Any = None,
        segmentId: str | None = None,
    ) -> SegmentsResult:
        """Write an answer into the scene; GUI thread only.

        Args:
            segmentationNode: gets the segments; by default a new one is made.
            segmentId: the one segment to replace, whatever the labels.

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
            ids = addSegments(task.volumeNode, segmentationNode, answer.regions, answer.model.name)
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

    @staticmethod
    def sentenceFor(error: Exception) -> str:
        """What to tell a person about an error; one that nobody foresaw is logged with its traceback."""
        if isinstance(error, EXPECTED_ERRORS):
            return str(error)
        logging.error("AIAAClient: unexpected error", exc_info=error)
        return "Something unexpected went wrong; the Error Log (Ctrl+0) says what."


def sourceOf(prepared: PreparedTask) -> Source:
    """What is sent, and a key that changes with every change of it."""
    node, image = prepared.task.volumeNode, prepared.task.volumeNode.GetImageData()
    voxels, affine = prepared.sentVoxels, prepared.affine
    scalars = image.GetPointData().GetScalars()
    key = (node.GetID(), id(node), image.GetMTime(), scalars.GetMTime(), affine.tobytes(), prepared.region)
    k, j, i = voxels.shape
    owner = f"{node.GetID()} {'whole' if prepared.region is None else 'region'}"
    return Source(key, lambda packed: encodeNifti(voxels, affine, packed), affine, (i, j, k), owner)


def ask(
    client: SegmentationServer,
    model: ModelInfo,
    prepared: PreparedTask,
    source: Source,
    cancel: threading.Event | None,
    progress: Progress | None,
) -> MaskAnswer:
    """Put a prepared question; blocks, and touches neither Qt nor MRML."""
    began = time.monotonic()
    reply = client.infer(model, prepared.question, source, cancel, progress)
    mask = prepared.whole(reply.mask)
    names = _labelNames(reply.result) or model.labels
    labels = labelsIn(mask, names, model.name) if mask is not None else {}
    regions = regionsOf(mask, labels) if mask is not None else {}
    return MaskAnswer(mask, labels, regions, reply.result, time.monotonic() - began, model, reply.sent)


def _labelNames(result: Mapping[str, Any]) -> dict[str, int]:
    """What the answer itself calls the labels (MONAI Label's ``label_names``), where it does."""
    names = result.get("label_names")
    if not isinstance(names, Mapping):
        return {}
    return {str(name): int(value) for name, value in names.items() if isinstance(value, (int, float)) and value > 0}


def _nameOf(volumeNode: Any) -> Any:
    """What a region is remembered by: another grid in the same node has other regions."""
    image = volumeNode.GetImageData() if volumeNode is not None else None
    return (volumeNode.GetID(), image.GetDimensions()) if image is not None else None


def _quiet(_line: str) -> None:
    pass


def applicationSettings() -> ClientSettings:
    """Settings of the running application; in a script without one, of the environment alone."""
    try:
        import qt
    except ImportError:
        return ClientSettings()
    return ClientSettings(qt.QSettings())
