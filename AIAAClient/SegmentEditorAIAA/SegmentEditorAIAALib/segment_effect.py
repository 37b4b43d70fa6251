"""Effects that keep prompts with the selected segment: state in its tag, answers merged into it, undo followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _

from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.effect_mouse import SliceMouseTool
from IMeasureLib.geometry import GeometryError, VolumeGeometry
from IMeasureLib.prompts import PromptError
from IMeasureLib.segment_edit import EMPTY, SegmentEdit, union, without
from IMeasureLib.tools import Tool
from IMeasureLib.volume_access import BINARY_LABELMAP, VolumeError, geometryOf, readMask

from .effect_base import AIAAEffect
from .merging import Merge
from .segment_state import StateTag
from .state import EffectState, gridOf

EXPECTED_ERRORS = (GeometryError, PromptError, VolumeError)


class SegmentEffect(AIAAEffect):
    """Base of the effects with prompts.

    Attributes:
        tag: the segment's tag that holds the effect's state.
    """

    tag = ""

    def __init__(self, scriptedEffect: Any) -> None:
        super().__init__(scriptedEffect)
        self._shownTarget: Any = None
        self._isRefreshing = False
        self._askedState: tuple = ()
        self._told = ""
        self._volumeTrouble = ""

    def setupTools(self, widget: Any) -> None:
        self.states = StateTag(self.tag)
        self.edit = SegmentEdit(self.scriptedEffect)
        self.mouse = SliceMouseTool(
            self.xyToRas, self._mayBegin, self.stepDone, self.progressed, lambda sentence: self.status.show(sentence)
        )

    # ---- what the effects add

    def makeTool(self, geometry: VolumeGeometry) -> Tool:
        """The mouse tool that is chosen."""
        raise NotImplementedError

    def toolKey(self) -> Any:
        """Something that changes when another tool has to be made."""
        return None

    def stepDone(self, step: Any) -> None:
        """A prompt was made with the mouse, local RAS mm of the volume."""

    def draw(self) -> None:
        """Show the prompts of the selected segment."""

    def erase(self) -> None:
        """Take everything that was drawn out of the views."""

    def hint(self) -> str:
        """What to do next, or what the segment is now."""
        return self.mouse.tool.hint if self.mouse.tool is not None else ""

    # ---- coming and going

    def activate(self) -> None:
        self._shownTarget = None
        super().activate()

    def deactivate(self) -> None:
        super().deactivate()
        self.mouse.stop()
        self.erase()

    def layoutChanged(self) -> None:
        if self._isActive:
            self._shownTarget = None
            self.retarget()

    def retarget(self) -> None:
        target = (self.segmentationNode, self.segmentId, self.volumeNode)
        wanted = (*target, self.toolKey())
        if wanted == self._shownTarget:
            return
        if self._shownTarget is None or self._shownTarget[:3] != target:
            self.queue.cancel()
            self.targetChanged()
        self._shownTarget = wanted
        self._unobserve()
        self._observeTarget()
        self._volumeTrouble = self._told = ""
        try:
            self.mouse.start(self.makeTool(geometryOf(self.volumeNode)), self.volumeNode)
        except EXPECTED_ERRORS as error:
            self.mouse.stop()
            self.erase()
            self._volumeTrouble = str(error)
        self.refresh()

    def whyNot(self) -> str:
        return self._volumeTrouble or super().whyNot()

    def targetChanged(self) -> None:
        """Another segment, segmentation or volume is selected."""

    def _observeTarget(self) -> None:
        """Notice another segment selected, undo, redo, scripts, and the volume put under another transform."""
        self.observeEditor()
        if self.segmentationNode is not None:
            segmentation = self.segmentationNode.GetSegmentation()
            events = (
                segmentation.SegmentModified,
                segmentation.SegmentRemoved,
                segmentation.SourceRepresentationModified,
                segmentation.RepresentationModified,
            )
            self.observe(segmentation, events, self._onSegmentationChanged)
        self.observe(self.volumeNode, (slicer.vtkMRMLTransformableNode.TransformModifiedEvent,), self._onVolumeMoved)

    def _onSegmentationChanged(self) -> None:
        # Undo changes segment after segment: look once, when it has finished.
        if not self._isRefreshing:
            self._isRefreshing = True
            qt.QTimer.singleShot(0, self._refreshAfterChange)

    def _refreshAfterChange(self) -> None:
        self._isRefreshing = False
        if not self._isActive or self.segmentationNode is None:
            return
        if self.queue.isBusy and self.segmentState() != self._askedState:
            # Undo, redo or a script changed what was asked about: the answer would be one to another question.
            self.queue.cancel()
            self.overtaken()
        self.refresh()

    def overtaken(self) -> None:
        """The segment was changed by something else while the server was being waited for."""

    def _onVolumeMoved(self) -> None:
        self.erase()
        self.refresh()

    def segmentState(self) -> tuple:
        """Something that differs after the selected segment's voxels or prompts were changed."""
        segment = self.segmentationNode.GetSegmentation().GetSegment(self.segmentId)
        labelmap = segment.GetRepresentation(BINARY_LABELMAP) if segment is not None else None
        text = self.states.text(self.segmentationNode, self.segmentId)
        return (labelmap, labelmap.GetMTime() if labelmap is not None else 0, text)

    def refresh(self) -> None:
        if not self._volumeTrouble and self.volumeNode is not None:
            self.draw()
        self.showRunButton()
        hint = self._volumeTrouble or self.hint()
        # Said once: what was said since ("Cancelled", a failure) stays until something else is the case.
        if hint != self._told and not self.queue.isBusy and not self.isFailureShown:
            self._told = hint
            self.status.show(hint)

    def say(self, sentence: str) -> None:
        """Say what came of something; it stays until something else is the case."""
        self.hasFailed = False
        self._told = self.hint()
        self.status.show(sentence)

    # ---- the segment

    @property
    def state(self) -> EffectState:
        """What the selected segment carries; empty when it carries nothing that can be read."""
        if self.segmentationNode is None or not self.segmentId:
            return EffectState()
        try:
            return self.states.read(self.segmentationNode, self.segmentId)
        except PromptError as error:
            self.status.error(str(error))
            return EffectState()

    def store(self, state: EffectState) -> None:
        """Make the selected segment carry a state."""
        self.states.write(self.segmentationNode, self.segmentId, state)

    @property
    def geometry(self) -> VolumeGeometry:
        return geometryOf(self.volumeNode)

    def present(self) -> MaskRegion:
        """The selected segment on the volume's grid."""
        return readMask(self.segmentationNode, self.segmentId, self.volumeNode)

    def remember(self) -> None:
        """Note what the segment is at the moment of asking."""
        self._askedState = self.segmentState()

    def write(self, state: EffectState, answer: MaskRegion, erasedStays: bool, dropped: MaskRegion = EMPTY) -> None:
        """Merge an answer into the selected segment, and remember state and answer with it.

        Args:
            answer: instead of ``state.made``.
            dropped: voxels that shall go whoever painted them.
        """
        present, made = self.present(), state.madeOn(self.geometry)
        merge = Merge(present, made, answer, erasedStays)
        wanted = without(merge.wanted, without(dropped, answer)) if not dropped.isEmpty else merge.wanted
        where = (self.segmentationNode, self.segmentId, self.volumeNode)
        self.edit.change(present, wanted, *where, self.keepOthers)
        written = self.present()
        self.store(state.with_(made=merge.made(written), grid=gridOf(self.geometry)))
        self.remember()

    def clear(self) -> None:
        """Forget the prompts and take out what they made, as one step of undo."""
        self.queue.cancel()
        state = self.state
        if not state.isEmpty:
            self.scriptedEffect.saveStateForUndo()
            if not state.madeOn(self.geometry).isEmpty:
                self.write(state, EMPTY, erasedStays=False)
            self.store(EffectState())
        self.refresh()
        self.say(_("Cleared. Ctrl+Z brings it back.") if not state.isEmpty else self.hint())

    def volumeText(self) -> str:
        """ "12.3 mL", of the selected segment."""
        voxels = self.present().count
        return _("{volume:.1f} mL").format(volume=voxels * float(np.prod(self.geometry.spacing)) / 1000.0)

    # ---- mouse and keys

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        if viewWidget.className() != "qMRMLSliceWidget":
            return False
        isPress = eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.RightButtonPressEvent)
        if isPress and self.isHovered() and not self.mouse.isBusy:
            return False  # the marker under the mouse is dragged, or shows its menu
        return self.mouse.process(callerInteractor, eventId, viewWidget)

    def isHovered(self) -> bool:
        """Whether a press belongs to a marker under the mouse."""
        return False

    def processViewNodeEvents(self, callerViewNode: Any, eventId: int, viewWidget: Any) -> None:
        if viewWidget.className() == "qMRMLSliceWidget":
            self.mouse.viewChanged(viewWidget)

    def _mayBegin(self) -> bool:
        """Ask before a hidden segment is edited, as all effects do."""
        confirmed = self.scriptedEffect.confirmCurrentSegmentVisible()
        return bool(confirmed == self.scriptedEffect.ConfirmedWithoutDialog)

    def cancelStep(self) -> bool:
        return self.mouse.cancelStep()

    def isStepBegun(self) -> bool:
        return self.mouse.isBusy

    def progressed(self) -> None:
        """A step was begun or forgotten."""
        self.holdEscape()


def maskOf(answer: Any) -> MaskRegion:
    """Everything that a model marked, as one mask on the volume's grid."""
    whole = EMPTY
    for region in answer.regions.values():
        whole = union(whole, region)
    return whole
