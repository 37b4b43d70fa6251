"""The effect AI Scribbles: strokes inside and outside of an object, and a model finds the border between them."""

from __future__ import annotations

from typing import Any

import vtk
from slicer.i18n import tr as _

from AIAAClientLib.task import Task
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.tools import Tool

from .brush_cursor import BrushCursor
from .effect_base import CLEAR_KEY, RUN_KEY
from .prompt_tools import BrushTool
from .question import Question
from .region_box import RegionBox
from .scribble_display import COLORS, ScribbleDisplay
from .segment_effect import SegmentEffect, maskOf
from .state import gridOf
from .strokes import BACKGROUND, ERASE, FOREGROUND, Stroke, StrokeCanvas
from .tool_buttons import ToolButtons

VALUES = {"Foreground": FOREGROUND, "Background": BACKGROUND, "Eraser": ERASE}
OPPOSITE = {FOREGROUND: BACKGROUND, BACKGROUND: FOREGROUND, ERASE: ERASE}
KEYS = {"Foreground": "S", "Background": "D", "Eraser": "E"}
TOGGLE_KEY = "T"
WHEEL = {vtk.vtkCommand.MouseWheelForwardEvent: 1.15, vtk.vtkCommand.MouseWheelBackwardEvent: 1 / 1.15}


class ScribblesEffect(SegmentEffect):
    """Parameters of its own: "Brush" (Foreground, Background, Eraser), "BrushDiameter" (mm), "OnlyRegion", "Follow"."""

    effectName = "AI Scribbles"
    kind = "scribbles"
    tag = "AIAAClient.Scribbles"

    def __init__(self, scriptedEffect: Any) -> None:
        super().__init__(scriptedEffect)
        self._canvas: StrokeCanvas | None = None
        self._canvasGrid = 0

    def helpText(self) -> str:
        return (
            "<html>"
            + _(
                "Scribble inside the object and outside of it; a model finds the border between the two.<br>"
                "<p><ul style='margin: 0'>"
                "<li><b>Inside (S), Outside (D), Eraser (E):</b> what the brush leaves. <b>Ctrl</b>: the opposite; "
                "<b>T</b> turns inside and outside round."
                "<li><b>Shift + wheel:</b> size of the brush."
                "<li><b>Segment (A)</b> asks the model. Scribble more, erase, and ask again."
                "<li><b>Only in a box:</b> what is outside of it stays background."
                "</ul><p>"
                "Scribbles are kept with the segment and apart from its voxels. The volume goes once to the server "
                "that is set in the module AIAAClient. Not a medical device."
            )
            + "</html>"
        )

    # ---- the panel

    def setupTools(self, widget: Any) -> None:
        super().setupTools(widget)
        self.tools = self.loadTools("AIAAScribbles")
        buttons = {
            "Foreground": self.tools.foregroundButton,
            "Background": self.tools.backgroundButton,
            "Eraser": self.tools.eraserButton,
        }
        self.brushButtons = ToolButtons(buttons, KEYS, self._onBrush)
        self.display = ScribbleDisplay()
        self.cursor = BrushCursor()
        self.box = RegionBox()
        self.ui.clearButton.text = _("Clear scribbles ({key})").format(key=CLEAR_KEY)
        self.ui.clearButton.toolTip = _("Forget the scribbles of the segment and take out what they made.")
        self.tools.diameterSlider.connect("valueChanged(double)", self._onDiameter)
        self.tools.boxCheckBox.connect("toggled(bool)", self._onBox)
        self.tools.followCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)
        self.tools.onlyRegionCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)

    def keys(self) -> dict:
        return {**super().keys(), **self.brushButtons.keys, TOGGLE_KEY: self._toggle}

    def setMRMLDefaults(self) -> None:
        super().setMRMLDefaults()
        self.scriptedEffect.setParameterDefault("Brush", "Foreground")
        self.scriptedEffect.setParameterDefault("BrushDiameter", 5.0)
        self.scriptedEffect.setParameterDefault("OnlyRegion", 0)
        self.scriptedEffect.setParameterDefault("Follow", 0)

    def updateGUIFromMRML(self) -> None:
        self.setChecked(self.tools.onlyRegionCheckBox, "OnlyRegion", False)
        self.setChecked(self.tools.followCheckBox, "Follow", False)
        slider = self.tools.diameterSlider
        blocked = slider.blockSignals(True)
        slider.value = self.diameter
        slider.blockSignals(blocked)
        self.brushButtons.show(self.brush)
        super().updateGUIFromMRML()

    def updateMRMLFromGUI(self, *_args: Any) -> None:
        super().updateMRMLFromGUI()
        self.scriptedEffect.setParameter("OnlyRegion", int(self.tools.onlyRegionCheckBox.checked))
        self.scriptedEffect.setParameter("Follow", int(self.tools.followCheckBox.checked))

    @property
    def brush(self) -> str:
        name = self.parameter("Brush")
        return name if name in VALUES else "Foreground"

    @property
    def diameter(self) -> float:
        """Of the brush, mm."""
        return self.scriptedEffect.doubleParameter("BrushDiameter") if self.parameter("BrushDiameter") else 5.0

    def _onBrush(self, name: str) -> None:
        self.scriptedEffect.setParameter("Brush", name)
        self.retarget()

    def _toggle(self) -> None:
        self._onBrush("Background" if self.brush == "Foreground" else "Foreground")
        self.brushButtons.show(self.brush)

    def _onDiameter(self, value: float) -> None:
        self.scriptedEffect.setParameter("BrushDiameter", value)
        self.retarget()

    def toolKey(self) -> Any:
        return (self.brush, self.diameter)

    def makeTool(self, geometry: VolumeGeometry) -> Tool:
        value = VALUES[self.brush]
        tool = BrushTool(geometry, value, OPPOSITE[value], self.diameter / 2.0)
        tool.previewColor = COLORS[value]
        tool.previewWidth = self.diameter
        return tool

    # ---- what is shown

    def covered(self) -> dict:
        """Voxels of the source volume under the selected segment's scribbles, by value."""
        geometry = self.geometry
        if self._canvas is None or self._canvasGrid != gridOf(geometry):
            self._canvas, self._canvasGrid = StrokeCanvas(geometry), gridOf(geometry)
        covered: dict = self._canvas.covered(self.state.strokes)
        return covered

    def draw(self) -> None:
        self.display.show(self.covered(), self.volumeNode)

    def erase(self) -> None:
        self.display.clear()
        self.cursor.hide()

    def deactivate(self) -> None:
        super().deactivate()
        self._canvas = None
        self.box.remove()
        blocked = self.tools.boxCheckBox.blockSignals(True)
        self.tools.boxCheckBox.checked = False
        self.tools.boxCheckBox.blockSignals(blocked)

    def hint(self) -> str:
        if self.volumeNode is None or self.server.whyNot or self.models.whyNot:
            return self.whyNot()
        missing = self.whyNotRun()
        if missing:
            return missing
        count = self._strokesText()
        if self.state.made.isEmpty:
            return _("{strokes}. {key} asks the model.").format(strokes=count, key=RUN_KEY)
        return f"{count}: {self.volumeText()}"

    def _strokesText(self) -> str:
        count = len(self.state.strokes)
        return _("1 stroke") if count == 1 else _("{count} strokes").format(count=count)

    def whyNotRun(self) -> str:
        if not self.segmentId:
            return _("Select a segment first.")
        if self.volumeNode is None:
            return ""
        covered = self.covered()
        if covered[FOREGROUND].isEmpty:
            return _("Scribble inside the object ({key}), button held.").format(key=KEYS["Foreground"])
        if covered[BACKGROUND].isEmpty:
            return _("Now scribble outside of it, too ({key}).").format(key=KEYS["Background"])
        return ""

    def runTip(self) -> str:
        return _("Ask the model for the border between the scribbles.")

    def _onBox(self, on: bool) -> None:
        if on and self.volumeNode is not None:
            self.box.place(self.covered().values(), self.volumeNode)
        else:
            self.box.remove()

    # ---- mouse

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        if viewWidget.className() != "qMRMLSliceWidget" or self.mouse.tool is None:
            return False
        if eventId in WHEEL and callerInteractor.GetShiftKey():
            self.tools.diameterSlider.value = self.diameter * WHEEL[eventId]
            self.cursor.show(callerInteractor, viewWidget, self.diameter / 2.0)
            return True
        if eventId == vtk.vtkCommand.LeaveEvent:
            self.cursor.hide()
        elif eventId == vtk.vtkCommand.MouseMoveEvent:
            self.cursor.show(callerInteractor, viewWidget, self.diameter / 2.0)
        return super().processInteractionEvents(callerInteractor, eventId, viewWidget)

    def stepDone(self, step: Stroke) -> None:
        """A stroke is a step of undo; it changes no voxel of the segment."""
        self.queue.cancel()
        self.scriptedEffect.saveStateForUndo()
        self.store(self.state.with_(strokes=(*self.state.strokes, step)))
        self.draw()
        self.refresh()
        if self.tools.followCheckBox.checked and not self.whyNot():
            self.ask(lambda: self._question(isOwnStep=False))

    # ---- asking

    def run(self) -> None:
        if not self.queue.isBusy:
            self.ask(lambda: self._question(isOwnStep=True))

    def _question(self, isOwnStep: bool) -> Question:
        geometry, covered = self.geometry, self.covered()
        task = Task.scribbles(
            self.volumeNode,
            self.models.model,
            covered[FOREGROUND].full(geometry.shape),
            covered[BACKGROUND].full(geometry.shape),
            onlyRegion=bool(self.tools.onlyRegionCheckBox.checked),
            roi=self.box.voxels(self.volumeNode),
        )
        self.remember()
        return Question(task, lambda answer: self._apply(answer, isOwnStep))

    def _apply(self, answer: Any, isOwnStep: bool) -> None:
        if isOwnStep:
            self.scriptedEffect.saveStateForUndo()
        found = maskOf(answer)
        self.write(self.state.with_(model=answer.model.name), found, erasedStays=True)
        head = _("{strokes}, {seconds:.1f} s").format(strokes=self._strokesText(), seconds=answer.seconds)
        if found.isEmpty:
            self.say(_("{head}: {model} found nothing there.").format(head=head, model=answer.model.name))
        else:
            self.say(f"{head}: {self.volumeText()}")
        self.showRunButton()

    def failed(self, sentence: str) -> None:
        self.showRunButton()
        super().failed(_("Not answered ({key} asks again): {sentence}").format(key=RUN_KEY, sentence=sentence))
