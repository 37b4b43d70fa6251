"""The Segment Editor effect IMeasure: click a lesion on CT, and the selected segment becomes its measured mask."""

from __future__ import annotations

import os
from typing import Any

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from SegmentEditorIMeasureLib.segment_changes import SegmentChanges
from SegmentEditorIMeasureLib.summary import findingText
from slicer.i18n import tr as _

from IMeasureLib.edit_queue import Edit, EditQueue
from IMeasureLib.effect_mouse import SliceMouseTool
from IMeasureLib.escape_key import EscapeKey
from IMeasureLib.finding_nodes import readFinding, syncLines, syncSegmentation
from IMeasureLib.findings import Finding
from IMeasureLib.hotkeys import HOTKEYS
from IMeasureLib.logic import IMeasureLogic, SegmentRequest
from IMeasureLib.prompt_markups import PromptMarkups
from IMeasureLib.prompts import PromptHistory, Step
from IMeasureLib.qt_timer import qtTimer
from IMeasureLib.segment_queue import EXPECTED_ERRORS, sentenceFor
from IMeasureLib.shortcuts import Shortcuts
from IMeasureLib.status_line import StatusLine
from IMeasureLib.tool_bar import ToolBar
from IMeasureLib.tools import TOOLS
from IMeasureLib.volume_access import BINARY_LABELMAP, geometryOf

FOLDER = os.path.dirname(os.path.abspath(__file__))
MODULE_FOLDER = os.path.dirname(FOLDER)
DEFAULT_TOOL = "TrueClick"


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """What Slicer makes one of for each Segment Editor; ``scriptedEffect`` is its C++ side.

    Parameters (kept in the scene): "Tool", "ShowPrompts", "KeepOtherSegments".
    """

    def __init__(self, scriptedEffect: Any) -> None:
        scriptedEffect.name = "IMeasure"  # not translated: modules find effects by name
        scriptedEffect.title = "IMeasure"
        scriptedEffect.perSegment = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self._isActive = False
        self._isRefreshing = False
        self._askedState: tuple = (None, 0)
        self._observed: list = []
        self.status: StatusLine | None = None

    def clone(self) -> Any:
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        cloned = effects.qSlicerSegmentEditorScriptedEffect(None)
        cloned.setPythonSource(os.path.join(FOLDER, "SegmentEditorEffect.py").replace("\\", "/"))
        return cloned

    def icon(self) -> Any:
        return qt.QIcon(os.path.join(FOLDER, "SegmentEditorEffect.png"))

    def helpText(self) -> str:
        return (
            "<html>"
            + _(
                "Click a lesion: the selected segment becomes its mask, and is measured<br>"
                "<p><ul style='margin: 0'>"
                "<li><b>TrueClick ({trueClick}):</b> left click: the lesion is here; right or Ctrl+click: not here."
                "<li><b>TwoClick ({twoClick}):</b> click both ends of the longest diameter."
                "<li><b>MagicPen ({magicPen}):</b> draw the outline on a slice with the button held."
                "<li>Drag a click to move it; <b>Delete</b>, with the mouse over it, removes it. <b>Esc</b> cancels."
                "</ul><p>"
                "The image around the clicks goes to the server that is set in the module IMeasure. "
                "Not a medical device."
            ).format(trueClick=HOTKEYS["TrueClick"], twoClick=HOTKEYS["TwoClick"], magicPen=HOTKEYS["MagicPen"])
            + "</html>"
        )

    # ---- the panel

    def setupOptionsFrame(self) -> None:
        widget = slicer.util.loadUI(os.path.join(MODULE_FOLDER, "Resources", "UI", "SegmentEditorIMeasure.ui"))
        self.scriptedEffect.addOptionsWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = IMeasureLogic(timerFactory=qtTimer)
        self.changes = SegmentChanges(self.scriptedEffect)
        self.status = StatusLine(self.ui.statusLabel, self.ui.progressBar, self.ui.cancelButton)
        buttons = {
            "TwoClick": self.ui.twoClickButton,
            "TrueClick": self.ui.trueClickButton,
            "MagicPen": self.ui.magicPenButton,
        }
        icons = os.path.join(os.path.dirname(MODULE_FOLDER), "Resources", "Icons")
        if not os.path.isdir(icons):  # installed: all modules of an extension share one folder
            icons = os.path.join(MODULE_FOLDER, "Resources", "Icons")
        self.toolBar = ToolBar(buttons, lambda name: os.path.join(icons, f"{name}.png"), self._onTool)
        self.shortcuts = Shortcuts(self.toolBar.keys)
        self.ui.twoClickButton.toolTip = _("Click both ends of the longest diameter of what the segment shall be.")
        self.mouse = SliceMouseTool(
            self.xyToRas, self._mayBegin, self._onStep, self._onProgress, lambda sentence: self.status.show(sentence)
        )
        self.markups = PromptMarkups(self._onPromptsEdited)
        self.queue = EditQueue(self.logic, self._onAnswer, self._onFailure, self._onQueueChanged)
        self.escape = EscapeKey(self.cancel)
        self.ui.showPromptsCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)
        self.ui.keepOthersCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)
        self.ui.serverButton.connect("clicked()", lambda: slicer.util.selectModule("IMeasure"))

    def setMRMLDefaults(self) -> None:
        self.scriptedEffect.setParameterDefault("Tool", DEFAULT_TOOL)
        self.scriptedEffect.setParameterDefault("ShowPrompts", 1)
        self.scriptedEffect.setParameterDefault("KeepOtherSegments", 1)

    def updateGUIFromMRML(self) -> None:
        for box, name in (
            (self.ui.showPromptsCheckBox, "ShowPrompts"),
            (self.ui.keepOthersCheckBox, "KeepOtherSegments"),
        ):
            blocked = box.blockSignals(True)
            box.checked = not self.scriptedEffect.parameterDefined(name) or bool(
                self.scriptedEffect.integerParameter(name)
            )
            box.blockSignals(blocked)
        self.toolBar.setActive(self._toolName)
        self.markups.setVisible(self.ui.showPromptsCheckBox.checked)
        if self._isActive:
            self._retarget()

    def updateMRMLFromGUI(self, *_args: Any) -> None:
        self.scriptedEffect.setParameter("ShowPrompts", int(self.ui.showPromptsCheckBox.checked))
        self.scriptedEffect.setParameter("KeepOtherSegments", int(self.ui.keepOthersCheckBox.checked))
        self.markups.setVisible(self.ui.showPromptsCheckBox.checked)

    @property
    def _toolName(self) -> str:
        # Not there while a scene is being closed.
        return self.scriptedEffect.parameter("Tool") if self.scriptedEffect.parameterDefined("Tool") else DEFAULT_TOOL

    # ---- what is edited

    @property
    def _segmentationNode(self) -> Any:
        node = self.scriptedEffect.parameterSetNode()
        return node.GetSegmentationNode() if node is not None else None

    @property
    def _segmentId(self) -> str:
        node = self.scriptedEffect.parameterSetNode()
        return (node.GetSelectedSegmentID() if node is not None else "") or ""

    @property
    def _volumeNode(self) -> Any:
        node = self.scriptedEffect.parameterSetNode()
        return node.GetSourceVolumeNode() if node is not None else None

    @property
    def _target(self) -> tuple:
        return (self._segmentationNode, self._segmentId, self._volumeNode, self._toolName)

    def _finding(self) -> Finding | None:
        """What the selected segment carries; None when it carries nothing that can be read (and says so then)."""
        if self._segmentationNode is None or not self._segmentId:
            return None
        try:
            return readFinding(self._segmentationNode, self._segmentId)
        except EXPECTED_ERRORS as error:
            self.status.error(str(error))
            return None

    # ---- coming and going

    def activate(self) -> None:
        self._isActive = True
        self._shownTarget: Any = None
        self._told: tuple = ()
        self.shortcuts.install()
        self._retarget()

    def deactivate(self) -> None:
        self._isActive = False
        self.queue.cancel()
        self.mouse.stop()
        self.markups.clear()
        self.shortcuts.remove()
        self.escape.giveBack()
        self._unobserve()
        self.status.show("")

    def cleanup(self) -> None:
        if self.status is not None and self._isActive:
            self.deactivate()

    def sourceVolumeNodeChanged(self) -> None:
        if self._isActive:
            self._retarget()

    def layoutChanged(self) -> None:
        if self._isActive:
            self._shownTarget = None
            self._retarget()

    def _retarget(self) -> None:
        """Work on what is selected now: other segment, other volume, other tool."""
        if self._target == self._shownTarget:
            return
        sameSegment = self._shownTarget is not None and self._shownTarget[:3] == self._target[:3]
        self._shownTarget = self._target
        self._told = ()
        if not sameSegment:
            self.queue.cancel()
        self._unobserve()
        self._observe()
        try:
            self.mouse.start(TOOLS[self._toolName](geometryOf(self._volumeNode)), self._volumeNode)
        except EXPECTED_ERRORS as error:
            self.mouse.stop()
            self.markups.clear()
            self.status.show(str(error))
            return
        self._refresh()

    def _observe(self) -> None:
        """Notice another segment selected, undo, redo, scripts, and the volume put under another transform."""
        node = self.scriptedEffect.parameterSetNode()
        if node is not None:
            self._observed.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onEditorChanged)))
        if self._segmentationNode is not None:
            segmentation = self._segmentationNode.GetSegmentation()
            for event in (
                segmentation.SegmentModified,
                segmentation.SegmentRemoved,
                segmentation.SourceRepresentationModified,
                segmentation.RepresentationModified,
            ):
                self._observed.append((segmentation, segmentation.AddObserver(event, self._onSegmentationChanged)))
        if self._volumeNode is not None:
            event = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
            self._observed.append((self._volumeNode, self._volumeNode.AddObserver(event, self._onVolumeMoved)))

    def _unobserve(self) -> None:
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    def _onEditorChanged(self, *_args: Any) -> None:
        if self._isActive:
            self._retarget()

    def _onSegmentationChanged(self, *_args: Any) -> None:
        # Undo changes segment after segment: look once, when it has finished.
        if not self._isRefreshing:
            self._isRefreshing = True
            qt.QTimer.singleShot(0, self._refreshAfterChange)

    def _refreshAfterChange(self) -> None:
        self._isRefreshing = False
        if not self._isActive or self._segmentationNode is None:
            return
        if self.queue.isBusy and self._maskState() == self._askedState:
            return
        # Undo, redo or a script changed the mask that is being refined: the answer would be one to another question.
        self.queue.cancel()
        syncSegmentation(self._segmentationNode)
        self._refresh()

    def _maskState(self) -> tuple:
        """Something that differs after the selected segment's voxels were changed."""
        segment = self._segmentationNode.GetSegmentation().GetSegment(self._segmentId)
        labelmap = segment.GetRepresentation(BINARY_LABELMAP) if segment is not None else None
        return (labelmap, labelmap.GetMTime()) if labelmap is not None else (None, 0)

    def _onVolumeMoved(self, *_args: Any) -> None:
        self.markups.clear()
        self._refresh()

    def _refresh(self) -> None:
        """Show the prompts and the numbers of the selected segment."""
        finding = self._finding()
        history = finding.history if finding is not None else PromptHistory()
        if history != self.markups.history and self._volumeNode is not None:
            self.markups.show(history, self._volumeNode)
        # Said once: what was said since ("Cancelled", a failure) stays until something else is the case.
        if self._told != (finding,):
            self._told = (finding,)
            if history.steps:
                self.status.show(findingText(finding))
            else:
                self._onProgress()

    def _tell(self, finding: Finding, seconds: float | None = None) -> None:
        """Say what the segment is now, and what it took."""
        self._told = (finding,)
        self.status.show(findingText(finding, seconds))

    # ---- mouse and keys

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        if viewWidget.className() != "qMRMLSliceWidget":
            return False
        isPress = eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.RightButtonPressEvent)
        if isPress and self.markups.isHovered and not self.mouse.isBusy:
            return False  # the marker under the mouse is dragged, or shows its menu
        return self.mouse.process(callerInteractor, eventId, viewWidget)

    def processViewNodeEvents(self, callerViewNode: Any, eventId: int, viewWidget: Any) -> None:
        if viewWidget.className() == "qMRMLSliceWidget":
            self.mouse.viewChanged(viewWidget)

    def _mayBegin(self) -> bool:
        """Ask before a hidden segment is edited, as all effects do."""
        confirmed = self.scriptedEffect.confirmCurrentSegmentVisible()
        return confirmed == self.scriptedEffect.ConfirmedWithoutDialog

    def _onTool(self, name: str | None) -> None:
        # One tool is always on: the effect itself is what is turned off.
        chosen = name or self._toolName
        self.toolBar.setActive(chosen)
        self.scriptedEffect.setParameter("Tool", chosen)
        self._retarget()
        self._onProgress()

    def _onProgress(self) -> None:
        """A step was begun or forgotten, or nothing is going on: say what to do next."""
        if self.mouse.tool is not None and not self.queue.isBusy:
            self.status.show(self.mouse.tool.hint)
        self._holdEscape()

    def _onStep(self, step: Step) -> None:
        self._ask(lambda: self._request([step]))

    def _onPromptsEdited(self, history: PromptHistory) -> None:
        # From within the markups' own event handling: change them after it.
        qt.QTimer.singleShot(0, lambda: self._promptsEdited(history))

    def _promptsEdited(self, history: PromptHistory) -> None:
        if not self._isActive:
            return
        if history.isEmpty:
            self.queue.cancel()
            self.changes.clear(self._segmentationNode, self._segmentId, self._volumeNode)
            syncLines(self._segmentationNode, self._segmentId)
            self.markups.clear()
            self._told = (None,)
            self.status.show(_("No prompt is left that says where the lesion is: cleared. Ctrl+Z brings it back."))
            return
        self._ask(lambda: self._request([], history))

    # ---- asking the server

    def _request(self, steps: list, history: PromptHistory | None = None) -> SegmentRequest:
        """The question for newer steps, or for another history; put together when its turn has come."""
        where = (self._segmentationNode, self._segmentId)
        self._askedState = self._maskState()
        if history is None:
            return self.changes.requestWithSteps(self.logic, self._volumeNode, steps, *where)
        return self.changes.requestWithHistory(self.logic, self._volumeNode, history, *where)

    def _ask(self, edit: Edit) -> None:
        self.queue.add(edit)

    def cancel(self) -> None:
        """Forget the unfinished step, or stop waiting for the server; the segment stays as it is."""
        if self.mouse.cancelStep():
            return
        if self.queue.isBusy:
            self.queue.cancel()
            self._redraw()
            self.status.show(_("Cancelled; the segment is as it was."))

    def _onQueueChanged(self, line: str) -> None:
        if self.queue.isBusy:
            self.status.busy(line, self.cancel)
        self._holdEscape()

    def _holdEscape(self) -> None:
        if self.queue.isBusy or self.mouse.isBusy:
            self.escape.take()
        else:
            self.escape.giveBack()

    def _onAnswer(self, request: SegmentRequest, answer: Any) -> None:
        with slicer.util.RenderBlocker():
            finding = self.changes.apply(request, answer, self.ui.keepOthersCheckBox.checked)
            self.markups.show(finding.history, request.volumeNode)
        self._tell(finding, answer.seconds)

    def _onFailure(self, error: Exception) -> None:
        self._redraw()
        self.status.error(sentenceFor(error))

    def _redraw(self) -> None:
        """Show the prompts that the segment has, whatever was tried."""
        finding = self._finding()
        if self._volumeNode is not None:
            self.markups.show(finding.history if finding is not None else PromptHistory(), self._volumeNode)
