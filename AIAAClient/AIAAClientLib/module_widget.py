"""The panel of the AIAAClient module: server, models, volume, Run. It says what to do; the logic does it."""

from __future__ import annotations

import json
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from IMeasureLib.qt_timer import qtTimer
from IMeasureLib.status_line import StatusLine

from .connection_row import ConnectionRow
from .logic import AIAAClientLogic, MaskAnswer
from .model_info import DEXTR3D, INFERENCE, PROMPTS, SCRIBBLES, SEGMENTATION, ModelInfo
from .model_tree import ModelTree, detailsOf
from .parameter_node import parameterNode
from .run_control import RunControl
from .segments import newSegmentation
from .task import Task

EFFECTS = {
    PROMPTS: "AI Smart clicks",
    DEXTR3D: "AI Boundary points",
    SCRIBBLES: "AI Scribbles",
    SEGMENTATION: "AI Auto segmentation",
}
"""What is asked of a model → the effect of SegmentEditorAIAA for it."""

DETAIL_LINES = 4
"""Of a model's description, so that nothing below it moves when another is chosen."""

RESULT_SHOWN = 200
"""Letters of a model's JSON that the status line shows; the log has all."""


class AIAAClientWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Slicer makes one of these when the module is opened first, or a script asks for the module's logic."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = AIAAClientLogic(timerFactory=qtTimer)
        self._parameterNode: Any = None
        self._guiTag: Any = None
        self._hinted = ""
        self._listed = ""

    # ---- set-up and what Slicer calls

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/AIAAClient.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        ui = self.ui
        self._refreshTimer = qt.QTimer()
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(0)
        self._refreshTimer.connect("timeout()", self.refresh)
        self.status = StatusLine(ui.statusLabel, ui.progressBar, ui.cancelButton)
        ui.modelLabel.setFixedHeight(DETAIL_LINES * ui.modelLabel.fontMetrics().lineSpacing() + 4)
        self.models = ModelTree(ui.modelTree, self._onModelChosen)
        self.job = RunControl(self.logic, self.status, ui.requestLog, self._scheduleRefresh)
        self.server = ConnectionRow(ui, self.logic, self._onServerChanged)
        ui.segmentsTable.selectionMode = qt.QAbstractItemView.NoSelection
        policy = ui.segmentsTable.sizePolicy  # without segments there is a gap: nothing moves when they come
        policy.setRetainSizeWhenHidden(True)
        ui.segmentsTable.setSizePolicy(policy)
        ui.runButton.connect("clicked()", self.onRun)
        ui.editorButton.connect("clicked()", self.onEditor)
        self.logic.addListener(self._onModelsChanged)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneReplaced)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneReplaced)
        slicer.app.connect("aboutToQuit()", self.logic.close)
        self._takeParameterNode()

    def enter(self) -> None:
        """The module is shown."""
        self._takeParameterNode()
        self.server.start()
        self.refresh()

    def exit(self) -> None:
        """Another module is shown; a question that is being answered goes on."""
        self.server.pause()

    def cleanup(self) -> None:
        """Slicer exits or reloads the module."""
        self.job.cancel()
        self._refreshTimer.stop()
        self.logic.removeListener(self._onModelsChanged)
        self.server.stop()
        self.logic.close()
        self._dropParameterNode()
        self.removeObservers()

    # ---- scene

    def _takeParameterNode(self) -> None:
        self._dropParameterNode()
        self._parameterNode = parameterNode()
        self._guiTag = self._parameterNode.connectGui(self.ui)
        self.addObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        if self._parameterNode.volume is None:
            self._parameterNode.volume = _likelyVolume()
        self._onModelsChanged()

    def _dropParameterNode(self) -> None:
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged
            )
        self._parameterNode = None

    def _onSceneStartClose(self, caller: Any, event: str) -> None:
        self.job.cancel()
        self._dropParameterNode()

    def _onSceneReplaced(self, caller: Any, event: str) -> None:
        self.status.show("")
        self._takeParameterNode()

    def _onParametersChanged(self, caller: Any = None, event: str = "") -> None:
        self._scheduleRefresh()

    def _scheduleRefresh(self) -> None:
        self._refreshTimer.start()

    # ---- state

    @property
    def volume(self) -> Any:
        """The volume that is segmented, or None."""
        return self._parameterNode.volume if self._parameterNode is not None else None

    @property
    def model(self) -> ModelInfo | None:
        """The model that is chosen, or None."""
        return self.models.chosen

    def refresh(self) -> None:
        """Make the panel show what is in the scene."""
        if self._parameterNode is None:
            return
        ui, model = self.ui, self.model
        segmentation = self._parameterNode.segmentation
        if ui.segmentsTable.segmentationNode() is not segmentation:
            ui.segmentsTable.setSegmentationNode(segmentation)
        ui.segmentsTable.setVisible(segmentation is not None)
        ui.modelLabel.text = ui.modelLabel.toolTip = detailsOf(model) if model is not None else ""
        whyNot = self._whyNot()
        ui.runButton.enabled = not whyNot and not self.job.isBusy
        ui.runButton.toolTip = whyNot or _("Send the volume, unless the server has it, and segment it with this model.")
        ui.editorButton.visible = model is not None and not _runsAlone(model)
        for widget in (ui.volumeSelector, ui.segmentationSelector):
            widget.enabled = not self.job.isBusy
        if not self.status.isBusy and (not self.status.text or self.status.text == self._hinted):
            self._hint()

    def _hint(self) -> None:
        """Say what to do next."""
        self._hinted = self._whyNot() or _("Press Run.")
        self.status.show(self._hinted)

    def _whyNot(self) -> str:
        """Why nothing can be run now, "" when it can."""
        if not self.server.isUp:
            return self.server.trouble or _("Waiting for the server to answer.")
        if not self.logic.knownModels():
            return _("The server has no models. Whoever runs it can add some.")
        if self.volume is None:
            return _("Load a volume.")
        model = self.model
        if model is None:
            return _("Choose a model.")
        if not _runsAlone(model):
            return _("{model} is led by what you draw: use it in the Segment Editor.").format(model=model.name)
        if self.server.waitsForConsent:
            return _("The server is not on this computer: allow sending the volume to it in the first line.")
        return ""

    # ---- what the person does

    def _onServerChanged(self) -> None:
        if self._parameterNode is not None:
            if not self.status.isBusy:
                self._hint()
            self._scheduleRefresh()

    def _onModelsChanged(self) -> None:
        """List the models; those of a server that is down for a while stay."""
        url = self.logic.settings.serverURL
        if self._parameterNode is not None and (self.logic.connection is not None or url != self._listed):
            self._listed = url
            self.models.show(self.logic.knownModels(), self._parameterNode.model)
        self._scheduleRefresh()

    def _onModelChosen(self, name: str) -> None:
        if self._parameterNode is not None and self._parameterNode.model != name:
            self._parameterNode.model = name
        if not self.status.isBusy:
            self._hint()
        self._scheduleRefresh()

    def onRun(self) -> None:
        """Ask the chosen model about the chosen volume; each label of its answer becomes a segment."""
        model, volume = self.model, self.volume
        if model is None or volume is None:
            return
        make = Task.segmentation if SEGMENTATION in model.kinds else Task.inference
        task = make(volume, model)
        self.job.run(task, lambda answer: self._answered(task, answer))

    def _answered(self, task: Task, answer: MaskAnswer) -> str:
        volume = task.volumeNode
        if volume.GetScene() is None:
            return _("The volume was removed meanwhile.")
        segmentation = self._parameterNode.segmentation
        result = self.logic.apply(task, answer, segmentation, onWritten=_repaint)
        if answer.result:
            self.ui.requestLog.appendPlainText(json.dumps(dict(answer.result), ensure_ascii=False))
        if answer.mask is None:
            text = json.dumps(dict(answer.result), ensure_ascii=False)
            return text if len(text) <= RESULT_SHOWN else f"{text[:RESULT_SHOWN]}…"
        self._parameterNode.segmentation = result.segmentationNode
        if not result.segmentIds:
            return _("The model found nothing · {seconds:.1f} s.").format(seconds=answer.seconds)
        count, seconds = len(result.segmentIds), answer.seconds
        if count == 1:
            return _("1 segment · {seconds:.1f} s.").format(seconds=seconds)
        return _("{count} segments · {seconds:.1f} s.").format(count=count, seconds=seconds)

    def onEditor(self) -> None:
        """Go to the Segment Editor with this volume and the effect that this model is for."""
        if self._parameterNode.segmentation is None and self.volume is not None:
            name = _("{volume} segmentation").format(volume=self.volume.GetName())
            self._parameterNode.segmentation = newSegmentation(self.volume, name)
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        editor.setSegmentationNode(self._parameterNode.segmentation)
        if self.volume is not None:
            editor.setSourceVolumeNode(self.volume)
        if self.model is not None:
            self.logic.chosenModel = self.model.name
            editor.setActiveEffectByName(effectFor(self.model))


def effectFor(model: ModelInfo) -> str:
    """Name of the Segment Editor's effect that leads such a model."""
    return next((name for kind, name in EFFECTS.items() if kind in model.kinds), "")


def _repaint() -> None:
    """Let the window show what was done so far, and nobody interfere."""
    slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)


def _runsAlone(model: ModelInfo) -> bool:
    """Whether a model needs nothing but the volume."""
    return bool(model.kinds & {SEGMENTATION, INFERENCE})


def _likelyVolume() -> Any:
    """The first scalar volume that is no label map."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if not node.IsA("vtkMRMLLabelMapVolumeNode"):
            return node
    return None
