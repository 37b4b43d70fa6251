"""The panel of the IMeasure module: server, volume, tools, status, findings. It says what to do; the logic does it."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .finding_sync import FindingSync
from .findings_export import askForPath, writeFindings
from .findings_table import FindingsTable
from .hotkeys import CANCEL, NEW_FINDING, UNDO
from .logic import FindingReference, IMeasureLogic, SegmentRequest, SegmentResult
from .panel_buttons import showEditButtons
from .panel_words import summary, toolHint
from .parameter_node import parameterNode
from .prompt_markups import PromptMarkups
from .prompts import PromptHistory, Step, TwoClick
from .qt_timer import qtTimer
from .sample_data import loadSampleVolume
from .segment_queue import EXPECTED_ERRORS, SegmentQueue, sentenceFor
from .server_row import ServerRow
from .shortcuts import Shortcuts
from .status_line import StatusLine
from .tool_bar import ToolBar
from .tool_session import ToolSession


class IMeasureWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Slicer makes one of these when the module is opened first."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = IMeasureLogic(timerFactory=qtTimer)
        self._parameterNode: Any = None
        self._guiTag: Any = None
        self._references: list[FindingReference] = []
        self._entered = False
        self._keepMessage = False
        self._promptsOf = ""

    # ---- set-up and what Slicer calls

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/IMeasure.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self._makeParts()
        self._connect()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneReplaced)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneReplaced)
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodesChanged)
        self._takeParameterNode()

    def _makeParts(self) -> None:
        ui = self.ui
        self.status = StatusLine(ui.statusLabel, ui.progressBar, ui.cancelButton)
        self.server = ServerRow(ui, self.logic, self._onServerChanged)
        self.queue = SegmentQueue(self.logic, self.status, self._onResult, self._onFailure, self._redrawPrompts)
        self.tools = ToolBar(
            {"TwoClick": ui.twoClickButton, "TrueClick": ui.trueClickButton, "MagicPen": ui.magicPenButton},
            lambda name: self.resourcePath(f"Icons/{name}.png"),
            self._onToolChanged,
        )
        self.shortcuts = Shortcuts(
            {**self.tools.keys, NEW_FINDING: self.onNewFinding, UNDO: self.onUndo, CANCEL: self.onEscape}
        )
        self.prompts = PromptMarkups(self._onPromptsEdited)
        self.session = ToolSession(self._onStep, self._onStepProgress, self._say, self.prompts)
        self.table = FindingsTable(
            ui.findingsTable,
            onSelected=self._onFindingSelected,
            onJump=self._onFindingJump,
            onRenamed=self._onFindingRenamed,
            onVisibilityToggled=self._onFindingVisibility,
            onColorRequested=self._onFindingColor,
        )
        self._refreshTimer = qt.QTimer()
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(0)
        self._refreshTimer.connect("timeout()", self.refresh)
        # Last: it tells at once about the findings that the scene has already.
        self.sync = FindingSync(slicer.mrmlScene, self._scheduleRefresh)

    def _connect(self) -> None:
        ui = self.ui
        ui.newFindingButton.text = _("New finding ({key})").format(key=NEW_FINDING)
        ui.newFindingButton.connect("clicked()", self.onNewFinding)
        ui.undoButton.connect("clicked()", self.onUndo)
        ui.deleteButton.connect("clicked()", self.onDelete)
        ui.sampleButton.connect("clicked()", self.onLoadSample)
        menu = qt.QMenu(ui.exportButton)
        menu.addAction(_("Table as CSV…"), lambda: self._exportAs(".csv"))
        menu.addAction(_("Findings with prompts as JSON…"), lambda: self._exportAs(".json"))
        ui.exportButton.setMenu(menu)

    def enter(self) -> None:
        """The module is shown."""
        self._entered = True
        self._takeParameterNode()
        self.shortcuts.install()
        self.server.start()
        self._showPrompts()

    def exit(self) -> None:
        """Another module is shown: the mouse, the keys and the views are given back."""
        self._entered = False
        self._setTool(None)
        self.shortcuts.remove()
        self.server.pause()
        self.prompts.clear()

    def cleanup(self) -> None:
        """Slicer exits or reloads the module."""
        self.exit()
        self.queue.cancel()
        self._refreshTimer.stop()
        self.sync.stop()
        self.server.stop()
        self._dropParameterNode()
        self.removeObservers()

    # ---- scene

    def _takeParameterNode(self) -> None:
        self._dropParameterNode()
        self._parameterNode = parameterNode()
        self._guiTag = self._parameterNode.connectGui(self.ui)
        self.addObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        if self._parameterNode.inputVolume is None:
            self._parameterNode.inputVolume = self._shownVolume()
        self.refresh()

    def _dropParameterNode(self) -> None:
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged
            )
        self._parameterNode = None

    @staticmethod
    def _shownVolume() -> Any:
        """The volume in the background of the slice views, or the first there is."""
        manager = slicer.app.layoutManager()
        if manager is not None:
            for name in manager.sliceViewNames():
                shown = manager.sliceWidget(name).sliceLogic().GetBackgroundLayer().GetVolumeNode()
                if shown is not None and shown.IsA("vtkMRMLScalarVolumeNode"):
                    return shown
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    def _onSceneStartClose(self, caller: Any, event: str) -> None:
        self.queue.cancel()
        self._setTool(None)
        self.prompts.clear()
        self.logic.history.clear()
        self._dropParameterNode()

    def _onSceneReplaced(self, caller: Any, event: str) -> None:
        self._takeParameterNode()

    def _onNodesChanged(self, caller: Any, event: str) -> None:
        if not slicer.mrmlScene.IsBatchProcessing():
            self._scheduleRefresh()

    def _onParametersChanged(self, caller: Any = None, event: str = "") -> None:
        self._scheduleRefresh()

    def _scheduleRefresh(self) -> None:
        self._refreshTimer.start()

    # ---- state

    @property
    def selected(self) -> FindingReference | None:
        """The finding that the next click refines."""
        if self._parameterNode is None:
            return None
        wanted = self._parameterNode.selectedFinding
        return next((reference for reference in self._references if reference.finding.id == wanted), None)

    def select(self, findingId: str) -> None:
        """Make a finding the one that is refined; "" for none."""
        if self._parameterNode is not None and self._parameterNode.selectedFinding != findingId:
            self._parameterNode.selectedFinding = findingId
        self.refresh()

    @property
    def volume(self) -> Any:
        """The CT in which findings are measured, or None."""
        return self._parameterNode.inputVolume if self._parameterNode is not None else None

    def refresh(self) -> None:
        """Make the panel show what is in the scene."""
        if self._parameterNode is None:
            return
        volume = self.volume
        self._references = [reference for reference in self.logic.findings() if reference.volumeNode in (volume, None)]
        if self.session.toolName is not None and volume is not self.session.volumeNode:
            self._setTool(None)
        self.table.show([reference.finding for reference in self._references])
        self.table.select(self._parameterNode.selectedFinding or None)
        self._updateButtons()
        if not self.queue.isBusy and not self.prompts.isHovered:
            self._showPrompts()
        self._showHint()

    def _updateButtons(self) -> None:
        ui, selected = self.ui, self.selected
        ui.sampleButton.setVisible(self.volume is None)
        self.tools.setAvailable(self._whyNoTool())
        showEditButtons(ui, selected is not None, self.logic.history.canUndo, bool(self._references))

    def _whyNoTool(self) -> str:
        """Why no tool can be used now, "" when they can."""
        if self.volume is None:
            return _("Choose a CT volume first, or load the sample CT.")
        if not self.server.isUp:
            return self.server.trouble or _("Waiting for the server to answer.")
        if not self.server.hasConsent:
            return _("The server is not on this computer: allow sending images to it in the first line.")
        return ""

    def _showHint(self) -> None:
        """Say what to do next, unless something more important is said."""
        if not self.status.isBusy and not self._keepMessage:
            self.status.show(self._hint())

    def _hint(self) -> str:
        tool, selected = self.session.toolName, self.selected
        if tool is None:
            whyNot = self._whyNoTool()
            if whyNot:
                return whyNot
            return _("Choose a tool to begin.") if not self._references else _("Choose a tool, or a finding to see it.")
        return toolHint(tool, self.session.isBusy, selected.finding.name if selected is not None else None)

    # ---- tools and requests

    def _onServerChanged(self) -> None:
        self._keepMessage = False
        self._updateButtons()
        if self.session.toolName is not None and self._whyNoTool() and not self.queue.isBusy:
            self._setTool(None)
        self._showHint()

    def _onToolChanged(self, name: str | None) -> None:
        self._keepMessage = False
        self._setTool(name)

    def _setTool(self, name: str | None) -> None:
        self.session.stop()
        if name is not None:
            try:
                self.session.start(name, self.volume)
            except EXPECTED_ERRORS as error:
                name = None
                self._say(sentenceFor(error), isError=True)
        self.tools.setActive(name)
        self._showHint()

    def onEscape(self) -> None:
        """Forget the unfinished step, or put the tool away."""
        self._keepMessage = False
        if not self.session.cancelStep():
            self._setTool(None)

    def _onStepProgress(self) -> None:
        self._keepMessage = False
        self._showHint()

    def _onStep(self, step: Step) -> None:
        self._keepMessage = False
        self.queue.add(lambda: self._requestFor(step))

    def _requestFor(self, step: Step) -> SegmentRequest:
        """TwoClick always makes a new finding; the others refine the selected one, if any."""
        target = None if isinstance(step, TwoClick) else self.selected
        if target is None:
            return self.logic.requestFor(self.volume, [step], self._segmentation())
        return self.logic.requestFor(self.volume, [step], target.segmentationNode, target.segmentId)

    def _segmentation(self) -> Any:
        """Where findings of this volume are kept: beside those that there are; None to make a segmentation."""
        return next((ref.segmentationNode for ref in self._references if ref.volumeNode is self.volume), None)

    def _onPromptsEdited(self, history: PromptHistory) -> None:
        target = self.selected
        if target is not None:
            self.queue.add(
                lambda: self.logic.requestAnew(self.volume, history, target.segmentationNode, target.segmentId)
            )

    def _onResult(self, result: SegmentResult, warning: str) -> None:
        seconds = self.status.elapsed()
        self.select(result.finding.id)
        self._showPrompts()
        self._say(f"⚠ {warning}" if warning else summary(result.finding, seconds))

    def _onFailure(self, sentence: str, error: Exception) -> None:
        self._keepMessage = True
        self.server.check()

    def _say(self, message: str, isError: bool = False) -> None:
        """Say something that stays until the person does something."""
        self._keepMessage = True
        (self.status.error if isError else self.status.show)(message)

    def _showPrompts(self) -> None:
        selected = self.selected
        if not self._entered or selected is None or selected.volumeNode is None or not selected.finding.visible:
            self.prompts.clear()
        elif self.prompts.history != selected.finding.history or self._promptsOf != selected.finding.id:
            self._promptsOf = selected.finding.id
            self.prompts.show(selected.finding.history, selected.volumeNode)

    def _redrawPrompts(self) -> None:
        """Show the prompts as they are kept, after the person moved some in vain; not from within their own event."""

        def redraw() -> None:
            self.prompts.clear()
            self._showPrompts()

        qt.QTimer.singleShot(0, redraw)

    # ---- findings

    def _reference(self, findingId: str) -> FindingReference:
        return next(reference for reference in self._references if reference.finding.id == findingId)

    def _onFindingSelected(self, findingId: str) -> None:
        self._keepMessage = False
        self.select(findingId)

    def _onFindingJump(self, findingId: str) -> None:
        reference = self._reference(findingId)
        if self.logic.jumpTo(reference.segmentationNode, reference.segmentId) is None:
            self._say(_("Nothing says where this finding is: it has neither measurements nor prompts."))

    def _onFindingRenamed(self, findingId: str, name: str) -> None:
        reference = self._reference(findingId)
        self.logic.rename(reference.segmentationNode, reference.segmentId, name)

    def _onFindingVisibility(self, findingId: str, visible: bool) -> None:
        reference = self._reference(findingId)
        self.logic.setVisible(reference.segmentationNode, reference.segmentId, visible)

    def _onFindingColor(self, findingId: str) -> None:
        reference = self._reference(findingId)
        present = qt.QColor.fromRgbF(*reference.finding.color)
        chosen = qt.QColorDialog.getColor(present, slicer.util.mainWindow(), _("Colour of the finding"))
        if chosen.isValid():
            color = (chosen.redF(), chosen.greenF(), chosen.blueF())
            self.logic.setColor(reference.segmentationNode, reference.segmentId, color)

    def onNewFinding(self) -> None:
        """The next click or stroke begins a new finding."""
        self._keepMessage = False
        self.select("")

    def onUndo(self) -> None:
        """Take back the last change."""
        if self.queue.isBusy:
            self.queue.cancel()
            return
        if self.logic.undo():
            self.refresh()
            self._showPrompts()
            self._say(_("Undone."))

    def onDelete(self) -> None:
        """Delete the selected finding."""
        selected = self.selected
        if selected is not None:
            self.logic.remove(selected.segmentationNode, selected.segmentId)
            self.select("")
            self._say(_("“{name}” deleted. Undo brings it back.").format(name=selected.finding.name))

    def onLoadSample(self) -> None:
        """Load the CT that comes with the extension."""
        try:
            volume = loadSampleVolume()
        except (OSError, RuntimeError) as error:
            self._say(str(error), isError=True)
            return
        self._parameterNode.inputVolume = volume

    def _exportAs(self, suffix: str) -> None:
        path = askForPath(suffix)
        if path:
            self.export(path)

    def export(self, path: str) -> None:
        """Write the findings of this volume as CSV or JSON, as the file's name says."""
        findings = [reference.finding for reference in self._references]
        try:
            writeFindings(path, findings, self.volume.GetName() if self.volume is not None else "")
        except OSError as error:
            self._say(_("Could not write {path}: {reason}.").format(path=path, reason=error.strerror), isError=True)
            return
        self._say(_("Written: {path}").format(path=path))
