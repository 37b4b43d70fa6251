"""The effect AI Smart clicks: points, boxes, lassos and scribbles, each answered at once in the selected segment."""

from __future__ import annotations

from typing import Any

import numpy as np
import qt
from slicer.i18n import tr as _

from AIAAClientLib.task import Task
from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.geometry import VolumeGeometry, voxelOf
from IMeasureLib.segment_edit import EMPTY, without
from IMeasureLib.tools import Tool
from IMeasureLib.volume_access import localToWorld

from .effect_base import CLEAR_KEY, RUN_KEY
from .merging import isUntouched, onSlices, replacedOnSlices
from .prompt_drawing import PromptDrawing
from .prompt_tools import BoxTool, LassoTool, LineTool, PointTool
from .prompts import BOX, LASSO, LINE, POINT, Prompt, Prompts, onSlice, pointsOf, saysWhere, slicesOf
from .question import Question
from .segment_effect import SegmentEffect, maskOf
from .sign_button import SignButton
from .state import EffectState
from .tool_buttons import ToolButtons
from .wording import promptsText

TOOLS: dict = {"Point": PointTool, "Box": BoxTool, "Lasso": LassoTool, "Scribble": LineTool}
KEYS = {"Point": "P", "Box": "B", "Lasso": "L", "Scribble": "S"}
SIGN_KEY = "T"
PROMPTS_OF_TOOL = {"Point": "points", "Box": "boxes", "Lasso": "lassos", "Scribble": "scribbles"}
"""Tool → what a model must take for it (``ModelInfo.prompts``)."""


class ClicksEffect(SegmentEffect):
    """Parameters of its own: "Tool", "OnlyRegion", "ShowPrompts"."""

    effectName = "AI Smart clicks"
    kind = "prompts"
    tag = "AIAAClient.Clicks"

    def __init__(self, scriptedEffect: Any) -> None:
        super().__init__(scriptedEffect)
        self._pending: list[Prompt] = []
        self._sign = True

    def helpText(self) -> str:
        return (
            "<html>"
            + _(
                "Click an object: the selected segment becomes what an interactive model finds there.<br>"
                "<p><ul style='margin: 0'>"
                "<li><b>Point (P), Box (B), Lasso (L), Scribble (S):</b> each prompt is answered at once."
                "<li><b>Positive/Negative (T):</b> whether prompts add or exclude; <b>Ctrl</b> or a right click: the "
                "opposite."
                "<li>Drag a marker to move it; <b>Delete</b>, with the mouse over it, removes it. <b>Esc</b> cancels."
                "</ul><p>"
                "The volume goes once to the server that is set in the module AIAAClient. Not a medical device."
            )
            + "</html>"
        )

    # ---- the panel

    def setupTools(self, widget: Any) -> None:
        super().setupTools(widget)
        self.markups = PromptDrawing(self._onEdited)
        self.tools = self.loadTools("AIAAClicks")
        buttons = {
            "Point": self.tools.pointButton,
            "Box": self.tools.boxButton,
            "Lasso": self.tools.lassoButton,
            "Scribble": self.tools.scribbleButton,
        }
        self.toolButtons = ToolButtons(buttons, KEYS, self._onTool)
        self.signButton = SignButton(self.tools.signButton, SIGN_KEY, self._onSign)
        self.ui.runButton.text = _("Ask again ({key})").format(key=RUN_KEY)
        self.ui.clearButton.text = _("Clear prompts ({key})").format(key=CLEAR_KEY)
        self.ui.clearButton.toolTip = _("Forget the prompts of the segment and take out what they made.")
        self.tools.onlyRegionCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)
        self.tools.showPromptsCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)

    def keys(self) -> dict:
        return {**super().keys(), **self.toolButtons.keys, SIGN_KEY: self.signButton.toggle}

    def setMRMLDefaults(self) -> None:
        super().setMRMLDefaults()
        self.scriptedEffect.setParameterDefault("Tool", "Point")
        self.scriptedEffect.setParameterDefault("OnlyRegion", 0)
        self.scriptedEffect.setParameterDefault("ShowPrompts", 1)

    def updateGUIFromMRML(self) -> None:
        self.setChecked(self.tools.onlyRegionCheckBox, "OnlyRegion", False)
        self.setChecked(self.tools.showPromptsCheckBox, "ShowPrompts", True)
        self.markups.setVisible(bool(self.tools.showPromptsCheckBox.checked))
        super().updateGUIFromMRML()
        self._showTools()

    def updateMRMLFromGUI(self, *_args: Any) -> None:
        super().updateMRMLFromGUI()
        self.scriptedEffect.setParameter("OnlyRegion", int(self.tools.onlyRegionCheckBox.checked))
        self.scriptedEffect.setParameter("ShowPrompts", int(self.tools.showPromptsCheckBox.checked))
        self.markups.setVisible(bool(self.tools.showPromptsCheckBox.checked))

    @property
    def toolName(self) -> str:
        """The tool that is chosen, or points where the model takes nothing else."""
        name = self.parameter("Tool") or "Point"
        return name if not self._whyNotTool(name) else "Point"

    def _whyNotTool(self, name: str) -> str:
        model = self.models.model
        if model is None or PROMPTS_OF_TOOL[name] in model.prompts:
            return ""
        return _("The model {model} takes no {prompts}.").format(model=model.name, prompts=_(PROMPTS_OF_TOOL[name]))

    def _showTools(self) -> None:
        self.toolButtons.show(self.toolName, {name: self._whyNotTool(name) for name in TOOLS})

    def _onTool(self, name: str) -> None:
        self.scriptedEffect.setParameter("Tool", name)
        self._showTools()
        self.retarget()

    def _onSign(self, positive: bool) -> None:
        self._sign = positive
        self.retarget()

    def modelChanged(self) -> None:
        self._showTools()
        self.retarget()

    def toolKey(self) -> Any:
        return (self.toolName, self._sign)

    def makeTool(self, geometry: VolumeGeometry) -> Tool:
        tool: Tool = TOOLS[self.toolName](geometry, self._sign)
        return tool

    # ---- what is shown

    def isHovered(self) -> bool:
        return self.markups.isHovered

    def draw(self) -> None:
        self._showTools()
        self.markups.show((*self.state.prompts, *self._pending), self.volumeNode)

    def erase(self) -> None:
        self.markups.clear()

    def targetChanged(self) -> None:
        self._pending = []

    def activate(self) -> None:
        # Whoever comes back wants to add, not to exclude.
        self.signButton.setPositive()
        super().activate()

    def deactivate(self) -> None:
        self._pending = []
        super().deactivate()

    def overtaken(self) -> None:
        self._pending = []

    def hint(self) -> str:
        prompts = self.state.prompts
        if prompts:
            return f"{promptsText(prompts)}: {self.volumeText()}"
        whyNot = self.whyNot() if not self._pending else ""
        if self.volumeNode is None or self.server.whyNot or self.models.whyNot:
            return whyNot
        return super().hint()

    def whyNotRun(self) -> str:
        if not self.segmentId:
            return _("Select a segment first.")
        if not self._pending and not self.state.prompts:
            return _("There are no prompts yet: click in a slice view. Each click is answered at once.")
        return ""

    def runTip(self) -> str:
        return _("Ask again for all prompts of the segment.")

    # ---- prompts

    def stepDone(self, step: Prompt) -> None:
        self._pending.append(step)
        self.draw()
        self.ask(lambda: self._questionFor(step))

    def run(self) -> None:
        """Ask again: for the prompts that were not answered, else for all of the segment."""
        if self.queue.isBusy:
            return
        if self._pending:
            waiting = tuple(self._pending)
            self.ask(lambda: self._question((*self.state.prompts, *waiting), waiting))
        else:
            self._askAnew(self.state.prompts)

    def _onEdited(self, prompts: Prompts) -> None:
        # From within the markups' own event handling: change them after it.
        qt.QTimer.singleShot(0, lambda: self._edited(prompts))

    def _edited(self, prompts: Prompts) -> None:
        if not self._isActive:
            return
        if self._pending:
            # What waits has no answer that could be taken back; it is just another prompt now.
            self.queue.cancel()
            self._pending = []
        if saysWhere(prompts):
            self._askAnew(prompts)
            return
        self.queue.cancel()
        self.scriptedEffect.saveStateForUndo()
        self.write(self.state, EMPTY, erasedStays=True)
        self.store(EffectState())
        self.markups.clear()
        self.refresh()
        self.say(_("No prompt is left that says where the object is: cleared. Ctrl+Z brings it back."))

    def _askAnew(self, prompts: Prompts) -> None:
        """Ask for prompts of which some were moved or deleted; of a model for slices, on each slice that changed."""
        model = self.models.model
        if model is None or model.dimension != 2:
            self.ask(lambda: self._question(prompts, (), isAnew=True))
            return
        before = self.state.prompts
        changed = tuple(prompt for prompt in (*before, *prompts) if (prompt in before) != (prompt in prompts))
        for k in sorted(slicesOf(changed or prompts, self.geometry)):
            if saysWhere(onSlice(prompts, k, self.geometry)):
                self.ask(lambda k=k: self._question(prompts, (), isAnew=True, k=k))
            else:
                self._emptySlice(prompts, k)

    def _emptySlice(self, prompts: Prompts, k: int) -> None:
        """Take away what an answer gave a slice on which no prompt says any more where the object is."""
        self.scriptedEffect.saveStateForUndo()
        state = self.state
        made = replacedOnSlices(state.madeOn(self.geometry), EMPTY, {k})
        self.write(state.with_(prompts=prompts), made, erasedStays=True)
        self.refresh()

    def _questionFor(self, prompt: Prompt) -> Question:
        return self._question((*self.state.prompts, prompt), (prompt,))

    def _question(self, prompts: Prompts, newer: Prompts, isAnew: bool = False, k: int | None = None) -> Question:
        """The question for prompts; put together when its turn has come.

        Args:
            newer: those that the segment does not have yet.
            isAnew: the prompts alone count, unless the segment was also edited otherwise.
            k: the slice, for a model for slices; by default that of the newest prompt.
        """
        model, volumeNode, geometry = self.models.model, self.volumeNode, self.geometry
        asked, slices = prompts, None
        if model is not None and model.dimension == 2:
            k = voxelOf(geometry.rasToIJK(prompts[-1].points[0]))[2] if k is None else k
            asked, slices = onSlice(prompts, k, geometry), {k}
        label = self._label(model, isAnew)
        task = Task.prompts(
            volumeNode,
            model,
            **self._promptArguments(asked),
            label=None if label.isEmpty else label.full(geometry.shape),
            onlyRegion=bool(self.tools.onlyRegionCheckBox.checked),
            labelName=self._segmentName(),
        )
        self.remember()
        return Question(task, lambda answer: self._apply(answer, prompts, newer, slices, not label.isEmpty))

    def _segmentName(self) -> str:
        """Which of its structures a model that knows several (DeepEdit) is led to."""
        segment = self.segmentationNode.GetSegmentation().GetSegment(self.segmentId)
        return str(segment.GetName()) if segment is not None else ""

    def _label(self, model: Any, isAnew: bool) -> MaskRegion:
        """The mask that is refined; empty for a model that takes clicks alone, and for one that shall begin anew."""
        if model is None or "boxes" not in model.prompts:
            return EMPTY
        present = self.present()
        return EMPTY if isAnew and isUntouched(present, self.state.madeOn(self.geometry)) else present

    def _promptArguments(self, prompts: Prompts) -> dict:
        """The prompts as ``Task.prompts`` takes them, world RAS mm."""
        found = {}
        for positive, word in ((True, "positive"), (False, "negative")):
            points = [points[0] for points in pointsOf(prompts, POINT, positive)]
            found[word] = [tuple(point) for point in localToWorld(self.volumeNode, points)] if points else []
            for kind, name in ((BOX, "Boxes"), (LASSO, "Lassos"), (LINE, "Scribbles")):
                lines = pointsOf(prompts, kind, positive)
                found[f"{word}{name}"] = [localToWorld(self.volumeNode, line).tolist() for line in lines]
        return found

    def _apply(self, answer: Any, prompts: Prompts, newer: Prompts, slices: set | None, isRefined: bool) -> None:
        """Write the answer into the segment, with the prompts, as one step of undo."""
        self.scriptedEffect.saveStateForUndo()
        state, found = self.state, maskOf(answer)
        made = state.madeOn(self.geometry)
        if slices is not None:
            found = replacedOnSlices(made, onSlices(found, slices), slices)
        erased = without(made, self.present())
        erasedStays = not any(prompt.positive and self._touches(prompt, erased) for prompt in newer)
        dropped = self._excluded(found, made, prompts) if isRefined else EMPTY
        self.write(state.with_(prompts=prompts, model=answer.model.name), found, erasedStays, dropped)
        self._pending = [prompt for prompt in self._pending if prompt not in newer]
        self.draw()
        head = _("{prompts}, {seconds:.1f} s").format(prompts=promptsText(prompts), seconds=answer.seconds)
        if found.isEmpty:
            self.say(_("{head}: {model} found nothing there.").format(head=head, model=answer.model.name))
        else:
            self.say(f"{head}: {self.volumeText()}")

    def _excluded(self, found: MaskRegion, made: MaskRegion, prompts: Prompts) -> MaskRegion:
        """Painted voxels that a model which knew them took out because of an excluding prompt."""
        from scipy.ndimage import label

        lost = without(without(self.present(), made), found)
        if lost.isEmpty:
            return EMPTY
        parts, _count = label(lost.array)
        named = {int(parts[at]) for prompt in prompts if not prompt.positive for at in self._inside(prompt, lost)} - {0}
        return MaskRegion(np.isin(parts, list(named)), lost.origin) if named else EMPTY

    def _touches(self, prompt: Prompt, mask: MaskRegion) -> bool:
        return any(mask.array[at] for at in self._inside(prompt, mask))

    def _inside(self, prompt: Prompt, mask: MaskRegion) -> list:
        """Indices into a mask's array of the voxels under a prompt's points."""
        found = []
        for point in prompt.points:
            i, j, k = np.subtract(voxelOf(self.geometry.rasToIJK(point)), mask.origin)
            if 0 <= k < mask.array.shape[0] and 0 <= j < mask.array.shape[1] and 0 <= i < mask.array.shape[2]:
                found.append((k, j, i))
        return found

    def cancelled(self) -> None:
        self._pending = []
        self.draw()
        super().cancelled()

    def failed(self, sentence: str) -> None:
        """Prompts without an answer stay in the views, so that nothing has to be clicked again."""
        self.draw()
        self.showRunButton()
        kept = _("Not answered ({key} asks again, {clear} forgets the prompt):") if self._pending else ""
        super().failed(f"{kept.format(key=RUN_KEY, clear=CLEAR_KEY)} {sentence}".strip())

    def clear(self) -> None:
        if self._pending:
            self.queue.cancel()
            self._pending = []
            self.draw()
            self.say(_("Forgotten; the segment is as it was."))
            return
        super().clear()
