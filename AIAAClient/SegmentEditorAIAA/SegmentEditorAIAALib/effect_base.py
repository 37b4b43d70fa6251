"""What the four effects have in common: the server's line, the choice of a model, asking, cancelling, saying so."""

from __future__ import annotations

import os
from typing import Any

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

from AIAAClientLib.server_link import ConsentError
from IMeasureLib.edit_queue import EditQueue
from IMeasureLib.escape_key import EscapeKey
from IMeasureLib.shortcuts import Shortcuts
from IMeasureLib.status_line import StatusLine

from .model_choice import ModelChoice
from .question import Asker, Question
from .server_line import ServerLine

MODULE_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUN_KEY, CLEAR_KEY, NEW_KEY = "A", "R", "N"


def resource(*parts: str) -> str:
    """Path of a file of the module's resources."""
    return os.path.join(MODULE_FOLDER, "Resources", *parts)


class AIAAEffect(AbstractScriptedSegmentEditorEffect):
    """Base of the effects. Parameters (kept in the scene): "Model", "KeepOtherSegments" and the effects' own.

    Attributes:
        effectName: as in the Segment Editor; not translated, because modules find effects by it.
        kind: what is asked of the model (``AIAAClientLib.model_info.KINDS``).
        folder: of the effect's own file, with its icon.
    """

    effectName = ""
    kind = ""
    folder = ""
    isPerSegment = True

    def __init__(self, scriptedEffect: Any) -> None:
        scriptedEffect.name = self.effectName
        scriptedEffect.title = self.effectName
        scriptedEffect.perSegment = self.isPerSegment
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self._isActive = False
        self._observed: list = []
        self.hasFailed = False
        self._waitsForConsent = False
        self.status: StatusLine | None = None

    def clone(self) -> Any:
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        cloned = effects.qSlicerSegmentEditorScriptedEffect(None)
        cloned.setPythonSource(os.path.join(self.folder, "SegmentEditorEffect.py").replace("\\", "/"))
        return cloned

    def icon(self) -> Any:
        return qt.QIcon(os.path.join(self.folder, "SegmentEditorEffect.png"))

    # ---- the panel

    def setupOptionsFrame(self) -> None:
        widget = slicer.util.loadUI(resource("UI", "SegmentEditorAIAA.ui"))
        self.scriptedEffect.addOptionsWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = slicer.util.getModuleLogic("AIAAClient")
        self.status = StatusLine(self.ui.statusLabel, self.ui.progressBar, self.ui.cancelButton)
        self.models = ModelChoice(self.ui.modelBox, self.logic, self.kind, self._onModel)
        self.queue = EditQueue(Asker(self.logic), self._onAnswer, self._onFailure, self._onQueueChanged)
        self.escape = EscapeKey(self.cancel)
        self.ui.runButton.text = _("Segment ({key})").format(key=RUN_KEY)
        self.ui.runButton.connect("clicked()", self.run)
        self.ui.clearButton.connect("clicked()", self.clear)
        self.ui.newSegmentButton.text = _("New segment ({key})").format(key=NEW_KEY)
        self.ui.newSegmentButton.toolTip = _("Add an empty segment and go on with it.")
        self.ui.newSegmentButton.connect("clicked()", self.newSegment)
        self.ui.keepOthersCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)
        self.setupTools(widget)
        self.server = ServerLine(self.ui, self.logic, self._onServer)
        self.shortcuts = Shortcuts(self.keys())

    def loadTools(self, name: str) -> Any:
        """The effect's own controls, between the model and the status: their widgets by name."""
        widget = slicer.util.loadUI(resource("UI", f"{name}.ui"))
        self.ui.toolsFrame.layout().addWidget(widget)
        return slicer.util.childWidgetVariables(widget)

    def setMRMLDefaults(self) -> None:
        self.scriptedEffect.setParameterDefault("Model", "")
        self.scriptedEffect.setParameterDefault("KeepOtherSegments", 1)

    def updateGUIFromMRML(self) -> None:
        self.setChecked(self.ui.keepOthersCheckBox, "KeepOtherSegments", True)
        self.models.choose(self.parameter("Model"))
        if self._isActive:
            self.retarget()

    def updateMRMLFromGUI(self, *_args: Any) -> None:
        self.scriptedEffect.setParameter("KeepOtherSegments", int(self.ui.keepOthersCheckBox.checked))

    def setChecked(self, box: Any, name: str, default: bool) -> None:
        """Show a parameter in a check box, without telling anyone."""
        blocked = box.blockSignals(True)
        isSet = self.scriptedEffect.parameterDefined(name)
        box.checked = bool(self.scriptedEffect.integerParameter(name)) if isSet else default
        box.blockSignals(blocked)

    def parameter(self, name: str) -> str:
        """A parameter's text; "" while a scene is being closed."""
        return self.scriptedEffect.parameter(name) if self.scriptedEffect.parameterDefined(name) else ""

    @property
    def keepOthers(self) -> bool:
        """Whether other segments keep their voxels, whatever the Segment Editor's setting says about overwriting."""
        return bool(self.ui.keepOthersCheckBox.checked)

    # ---- what the effects add

    def setupTools(self, widget: Any) -> None:
        """Make the effect's own controls."""

    def keys(self) -> dict:
        """Key → what it does, while the effect is on."""
        return {
            RUN_KEY: self._onRunKey,
            CLEAR_KEY: lambda: self.ui.clearButton.click(),
            NEW_KEY: lambda: self.ui.newSegmentButton.click(),
        }

    def _onRunKey(self) -> None:
        whyNot = self.whyNot()
        if whyNot and not self.queue.isBusy:
            self.status.show(whyNot)
        self.ui.runButton.click()

    def newSegment(self) -> None:
        """Add an empty segment and select it."""
        if self.segmentationNode is None:
            return
        self.scriptedEffect.saveStateForUndo()
        segmentId = self.segmentationNode.GetSegmentation().AddEmptySegment()
        self.scriptedEffect.parameterSetNode().SetSelectedSegmentID(segmentId)

    def retarget(self) -> None:
        """Work on what is selected now."""

    def refresh(self) -> None:
        """Show what there is."""

    def whyNotRun(self) -> str:
        """Why the effect cannot ask now, "" when it can; what is missing in general is looked at before."""
        return ""

    def runTip(self) -> str:
        """What the run button does."""
        return ""

    def run(self) -> None:
        """Ask the model."""

    def clear(self) -> None:
        """Forget prompts, and take out what they made."""

    def cancelStep(self) -> bool:
        """Forget what was begun with the mouse; False when there was nothing."""
        return False

    # ---- what is edited

    @property
    def segmentationNode(self) -> Any:
        node = self.scriptedEffect.parameterSetNode()
        return node.GetSegmentationNode() if node is not None else None

    @property
    def segmentId(self) -> str:
        node = self.scriptedEffect.parameterSetNode()
        return (node.GetSelectedSegmentID() if node is not None else "") or ""

    @property
    def volumeNode(self) -> Any:
        node = self.scriptedEffect.parameterSetNode()
        return node.GetSourceVolumeNode() if node is not None else None

    # ---- coming and going

    def activate(self) -> None:
        self._isActive = True
        self.hasFailed = self._waitsForConsent = False
        self.shortcuts.install()
        self._takeModel()
        self.retarget()
        self.server.start()

    def _takeModel(self) -> None:
        """Use the model that was chosen in the module's panel, once, when it can do this."""
        name = getattr(self.logic, "chosenModel", "")
        if name and name in [model.name for model in self.logic.knownModels(self.kind)]:
            self.logic.chosenModel = ""
            self.scriptedEffect.setParameter("Model", name)
            self.models.choose(name)

    def deactivate(self) -> None:
        self._isActive = False
        self.queue.cancel()
        self.server.stop()
        self.shortcuts.remove()
        self.escape.giveBack()
        self._unobserve()
        self.status.show("")

    def cleanup(self) -> None:
        if self.status is not None and self._isActive:
            self.deactivate()

    def sourceVolumeNodeChanged(self) -> None:
        if self._isActive:
            self.retarget()

    def observe(self, node: Any, events: tuple, react: Any) -> None:
        """Call ``react`` at events of a node, until the next ``_unobserve``."""
        if node is not None:
            for event in events:
                self._observed.append((node, node.AddObserver(event, lambda *_args: self._isActive and react())))

    def _unobserve(self) -> None:
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    def observeEditor(self) -> None:
        """Notice when another segment is selected or other settings are chosen."""
        self.observe(self.scriptedEffect.parameterSetNode(), (vtk.vtkCommand.ModifiedEvent,), self.retarget)

    # ---- the server

    def _onServer(self) -> None:
        self.models.fill()
        if self._isActive and self._waitsForConsent and self.server.hasConsent:
            self._waitsForConsent = False
            self.run()
        if self._isActive:
            self.showRunButton()
            self.refresh()

    def _onModel(self, name: str) -> None:
        self.scriptedEffect.setParameter("Model", name)
        self.modelChanged()
        self.showRunButton()

    def modelChanged(self) -> None:
        """Another model is chosen."""

    def whyNot(self) -> str:
        """Why nothing can be asked now, in a sentence; "" when it can."""
        if self.volumeNode is None:
            return _("Choose the source volume first.")
        return self.server.whyNot or self.models.whyNot or self.whyNotRun()

    def showRunButton(self) -> None:
        """Enable what can be used, and say in the tooltips why the rest cannot."""
        whyNot = self.whyNot()
        self.ui.runButton.enabled = not whyNot
        self.ui.runButton.toolTip = whyNot or self.runTip()

    # ---- asking

    def ask(self, makeQuestion: Any) -> None:
        """Put a question together when its turn has come, and ask it in the background."""
        self.queue.add(makeQuestion)

    def cancel(self) -> None:
        """Forget what was begun, or stop waiting for the server; the segment stays as it is."""
        if self.cancelStep():
            return
        if self.queue.isBusy:
            self.queue.cancel()
            self.cancelled()

    def cancelled(self) -> None:
        """The person waits no more."""
        self.status.show(_("Cancelled; nothing was changed."))

    def _onQueueChanged(self, line: str) -> None:
        if self.queue.isBusy:
            self.status.busy(line, self.cancel)
        self.holdEscape()

    def isStepBegun(self) -> bool:
        """Whether Esc has something to forget."""
        return False

    def holdEscape(self) -> None:
        """Take Esc while there is something to cancel."""
        if self.queue.isBusy or self.isStepBegun():
            self.escape.take()
        else:
            self.escape.giveBack()

    def _onAnswer(self, question: Question, answer: Any) -> None:
        self.hasFailed = False
        with slicer.util.RenderBlocker():
            question.apply(answer)

    def _onFailure(self, error: Exception) -> None:
        sentence = str(self.logic.sentenceFor(error)).strip()
        if isinstance(error, ConsentError):
            self._waitsForConsent, sentence = True, self.server.whyNot or sentence
        self.failed(sentence if sentence.endswith((".", "!", "?")) else f"{sentence}.")

    def failed(self, sentence: str) -> None:
        """The question was not answered."""
        self.hasFailed = True
        self.status.error(sentence)

    @property
    def isFailureShown(self) -> bool:
        """Whether the status says why the last question failed, and the server has not come back since."""
        return self.hasFailed and not self.server.isUp
