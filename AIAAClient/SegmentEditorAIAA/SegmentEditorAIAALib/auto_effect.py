"""The effect AI Auto segmentation: everything that a model knows in the source volume, as segments of their names."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from AIAAClientLib.segments import TERMINOLOGY_TAG, colorFor, terminologyFor
from AIAAClientLib.task import Task
from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.prompts import PromptError
from IMeasureLib.segment_edit import EMPTY, SegmentEdit
from IMeasureLib.volume_access import adoptGeometry, geometryOf, readMask

from .effect_base import RUN_KEY, AIAAEffect
from .merging import isUntouched
from .question import Question
from .segment_state import StateTag
from .state import EffectState, gridOf

TAG = "AIAAClient.Auto"
"""Of a segment that was made by it: by which model, and its voxels as they were made."""

NAMES_SHOWN = 4


class AutoEffect(AIAAEffect):
    """Runs a model on the whole volume. A segment that it made, and that nobody changed since, is made anew."""

    effectName = "AI Auto segmentation"
    kind = "segmentation"
    isPerSegment = False

    def helpText(self) -> str:
        return (
            "<html>"
            + _(
                "Segment everything that a model knows in the source volume.<br>"
                "<p><ul style='margin: 0'>"
                "<li>Choose a model, then <b>Segment (A)</b>. <b>Esc</b> cancels."
                "<li>Each label becomes a segment of its name. Segments that are there keep their voxels; one that the "
                "same model made, and that nobody changed since, is made anew."
                "<li>The settings for masking apply."
                "</ul><p>"
                "The volume goes once to the server that is set in the module AIAAClient. Not a medical device."
            )
            + "</html>"
        )

    def setupTools(self, widget: Any) -> None:
        self.states = StateTag(TAG)
        self.edit = SegmentEdit(self.scriptedEffect)
        self.ui.clearButton.hide()
        self.ui.newSegmentButton.hide()

    def keys(self) -> dict:
        return {key: action for key, action in super().keys().items() if key == RUN_KEY}

    def retarget(self) -> None:
        target = (self.segmentationNode, self.volumeNode)
        if target != getattr(self, "_shownTarget", None):
            self._shownTarget = target
            self.queue.cancel()
            self._unobserve()
            self.observeEditor()
            self.refresh()

    def activate(self) -> None:
        self._shownTarget: Any = None
        super().activate()

    def refresh(self) -> None:
        self.showRunButton()
        if not self.queue.isBusy and not self.isFailureShown:
            self.status.show(self.whyNot() or self._modelText())

    def modelChanged(self) -> None:
        self.refresh()

    def _modelText(self) -> str:
        """What the chosen model finds."""
        names = list(self.models.model.labels)
        if not names:
            return str(self.models.model.description)
        if len(names) <= NAMES_SHOWN:
            return _("Finds {names}.").format(names=", ".join(names))
        return _("Finds {names} and {count} more.").format(
            names=", ".join(names[:NAMES_SHOWN]), count=len(names) - NAMES_SHOWN
        )

    def whyNotRun(self) -> str:
        return _("Choose a segmentation first.") if self.segmentationNode is None else ""

    def runTip(self) -> str:
        return _("Run the model on the source volume.")

    def run(self) -> None:
        if not self.queue.isBusy:
            self.ask(self._question)

    def _question(self) -> Question:
        where = (self.segmentationNode, self.volumeNode)
        task = Task.segmentation(self.volumeNode, self.models.model)
        return Question(task, lambda answer: self._apply(answer, *where))

    def _apply(self, answer: Any, segmentationNode: Any, volumeNode: Any) -> None:
        """Write each label into a segment, all as one step of undo."""
        if segmentationNode.GetScene() is None or segmentationNode != self.segmentationNode:
            return
        names = list(answer.regions)
        if not names:
            self.status.show(_("{model} found nothing in this volume.").format(model=answer.model.name))
            return
        adoptGeometry(segmentationNode, volumeNode)
        self.scriptedEffect.saveStateForUndo()
        selected = self.segmentId
        for name in names:
            self._write(name, answer.regions[name], answer.model.name, segmentationNode, volumeNode)
        if not selected:
            self.scriptedEffect.parameterSetNode().SetSelectedSegmentID(self._lastWritten)
        shown = ", ".join(names[:NAMES_SHOWN])
        more = _(" and {count} more").format(count=len(names) - NAMES_SHOWN) if len(names) > NAMES_SHOWN else ""
        self.status.show(_("{seconds:.1f} s: {names}{more}.").format(seconds=answer.seconds, names=shown, more=more))

    def _write(self, name: str, wanted: MaskRegion, model: str, segmentationNode: Any, volumeNode: Any) -> None:
        segmentId, present = self._segmentFor(name, model, segmentationNode, volumeNode)
        self.edit.change(present, wanted, segmentationNode, segmentId, volumeNode, self.keepOthers)
        written = readMask(segmentationNode, segmentId, volumeNode)
        state = EffectState(made=written, grid=gridOf(geometryOf(volumeNode)), model=model)
        self.states.write(segmentationNode, segmentId, state)
        self._lastWritten = segmentId

    def _segmentFor(self, name: str, model: str, segmentationNode: Any, volumeNode: Any) -> tuple:
        """(id, voxels) of the segment that a label goes into: one of that name that is empty or this model's, or new.

        A segment that a person painted, or changed after the model made it, is left alone.
        """
        segmentation = segmentationNode.GetSegmentation()
        taken = set()
        for segmentId in segmentation.GetSegmentIDs():
            present = segmentation.GetSegment(segmentId).GetName()
            taken.add(present)
            if present != name and not present.startswith(f"{name} ("):
                continue
            mask = readMask(segmentationNode, segmentId, volumeNode)
            state = self._stateOf(segmentationNode, segmentId)
            isOwn = state.model == model and isUntouched(mask, state.madeOn(geometryOf(volumeNode)))
            if mask.isEmpty or isOwn:
                return segmentId, mask
        free = (
            name
            if name not in taken
            else next(f"{name} ({n})" for n in range(2, len(taken) + 3) if f"{name} ({n})" not in taken)
        )
        segmentId = segmentation.GenerateUniqueSegmentID(name)
        segmentation.AddEmptySegment(segmentId, free, colorFor(name, segmentation.GetNumberOfSegments()))
        terminology = terminologyFor(name)
        if terminology:
            segmentation.GetSegment(segmentId).SetTag(TERMINOLOGY_TAG, terminology)
        return segmentId, EMPTY

    def _stateOf(self, segmentationNode: Any, segmentId: str) -> EffectState:
        try:
            return self.states.read(segmentationNode, segmentId)
        except PromptError:
            return EffectState()
