"""The effect AI Boundary points: six and more points on an object's surface, and the object is what they enclose."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from AIAAClientLib.task import LEAST_BOUNDARY_POINTS, Task
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.tools import Tool
from IMeasureLib.volume_access import localToWorld

from .effect_base import CLEAR_KEY, RUN_KEY
from .prompt_drawing import PromptDrawing
from .prompt_tools import ExtremePointTool
from .prompts import Prompt, Prompts
from .question import Question
from .segment_effect import SegmentEffect, maskOf


class BoundaryEffect(SegmentEffect):
    """Boundary points of the selected segment; they are kept with it."""

    effectName = "AI Boundary points"
    kind = "dextr3d"
    tag = "AIAAClient.BoundaryPoints"

    def helpText(self) -> str:
        return (
            "<html>"
            + _(
                "Click the object's surface at its extremes; the selected segment becomes what the points enclose.<br>"
                "<p><ul style='margin: 0'>"
                "<li>Left click, in any slice view: a point. <b>Six</b> at least: left, right, front, back, top, "
                "bottom. With the sixth the model is asked, and again after every change."
                "<li>Drag a point to move it; <b>Delete</b>, with the mouse over it, removes it. <b>Esc</b> cancels."
                "</ul><p>"
                "The volume goes once to the server that is set in the module AIAAClient. Not a medical device."
            )
            + "</html>"
        )

    def setupTools(self, widget: Any) -> None:
        super().setupTools(widget)
        self.markups = PromptDrawing(self._onEdited, isProjected=True)
        self.ui.runButton.text = _("Ask again ({key})").format(key=RUN_KEY)
        self.ui.clearButton.text = _("Clear points ({key})").format(key=CLEAR_KEY)
        self.ui.clearButton.toolTip = _("Forget the points of the segment and take out what they made.")

    # ---- what is shown

    def makeTool(self, geometry: VolumeGeometry) -> Tool:
        return ExtremePointTool(geometry)

    def isHovered(self) -> bool:
        return self.markups.isHovered

    def draw(self) -> None:
        self.markups.show(self.state.prompts, self.volumeNode)

    def erase(self) -> None:
        self.markups.clear()

    @property
    def _count(self) -> int:
        return len(self.state.prompts)

    def hint(self) -> str:
        if self.volumeNode is None or self.server.whyNot or self.models.whyNot:
            return self.whyNot()
        if self._count < LEAST_BOUNDARY_POINTS:
            return _("Click the object's surface at its extremes: {count} of {least} points.").format(
                count=self._count, least=LEAST_BOUNDARY_POINTS
            )
        if self.state.made.isEmpty:
            return _("{count} points.").format(count=self._count)
        return _("{count} points: {volume}").format(count=self._count, volume=self.volumeText())

    def whyNotRun(self) -> str:
        if not self.segmentId:
            return _("Select a segment first.")
        if self._count < LEAST_BOUNDARY_POINTS:
            return _("{count} of {least} points are placed: click the object's surface at its extremes.").format(
                count=self._count, least=LEAST_BOUNDARY_POINTS
            )
        return ""

    def runTip(self) -> str:
        return _("Ask again for these points.")

    # ---- points

    def stepDone(self, step: Prompt) -> None:
        self._change((*self.state.prompts, step))

    def _onEdited(self, prompts: Prompts) -> None:
        # From within the markups' own event handling: change them after it.
        qt.QTimer.singleShot(0, lambda: self._change(prompts) if self._isActive else None)

    def _change(self, prompts: Prompts) -> None:
        """Remember other points, as a step of undo, and ask for them when they are enough."""
        self.queue.cancel()
        self.scriptedEffect.saveStateForUndo()
        self.store(self.state.with_(prompts=prompts))
        self.draw()
        if len(prompts) >= LEAST_BOUNDARY_POINTS:
            # The answer belongs to the same step of undo as the point.
            self.ask(lambda: self._question(isOwnStep=False))
        else:
            self.refresh()

    def run(self) -> None:
        if not self.queue.isBusy:
            self.ask(lambda: self._question(isOwnStep=True))

    def _question(self, isOwnStep: bool) -> Question:
        prompts = self.state.prompts
        points = localToWorld(self.volumeNode, [prompt.points[0] for prompt in prompts])
        task = Task.dextr3d(self.volumeNode, self.models.model, [tuple(point) for point in points.tolist()])
        self.remember()
        return Question(task, lambda answer: self._apply(answer, isOwnStep))

    def _apply(self, answer: Any, isOwnStep: bool) -> None:
        if isOwnStep:
            self.scriptedEffect.saveStateForUndo()
        found = maskOf(answer)
        self.write(self.state.with_(model=answer.model.name), found, erasedStays=True)
        self.draw()
        head = _("{count} points, {seconds:.1f} s").format(count=self._count, seconds=answer.seconds)
        if found.isEmpty:
            self.say(_("{head}: {model} found nothing there.").format(head=head, model=answer.model.name))
        else:
            self.say(f"{head}: {self.volumeText()}")
        self.showRunButton()

    def cancelled(self) -> None:
        super().cancelled()
        self.showRunButton()

    def failed(self, sentence: str) -> None:
        self.showRunButton()
        super().failed(_("Not answered ({key} asks again): {sentence}").format(key=RUN_KEY, sentence=sentence))
