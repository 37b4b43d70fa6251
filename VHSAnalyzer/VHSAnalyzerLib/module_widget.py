"""The panel of the VHSAnalyzer module: server, picture, analysis, numbers. It says what to do; the logic does it."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from IMeasureLib.qt_timer import qtTimer
from IMeasureLib.server_row import ServerRow
from IMeasureLib.status_line import StatusLine

from .answers import Answer
from .batch_panel import BatchPanel
from .client import VHSClient
from .loading import FILE_FILTER, loadPicture
from .logic import VHSAnalyzerLogic, askFor
from .output_panel import OutputPanel
from .panel_job import EXPECTED_ERRORS, PanelJob, sentenceFor
from .parameter_node import parameterNode
from .photo_panel import PhotoPanel
from .picture import PictureError
from .references import ALL_DOGS, CATS, REFERENCES
from .report import DISCLAIMER
from .result_panel import ResultPanel
from .sample_data import loadSampleRadiograph
from .scene_nodes import (
    BREED_ATTRIBUTE,
    PATIENT_ATTRIBUTE,
    landmarksOf,
    pictureOf_,
    readAnswer,
    readMeasurement,
    vertebraeOf,
)
from .score import VERTEBRAE
from .views import PictureView
from .volume_picture import capture, gridOf, isSpacingKnown


class VHSAnalyzerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Slicer makes one of these when the module is opened first, or a script asks for the module's logic."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = VHSAnalyzerLogic(timerFactory=qtTimer)
        self._parameterNode: Any = None
        self._guiTag: Any = None
        self._shown: tuple[str, bool] | None = None
        self._pictureId = ""
        self._entered = False

    # ---- set-up and what Slicer calls

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/VHSAnalyzer.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self._makeParts()
        self._connect()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneReplaced)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneReplaced)
        self._takeParameterNode()

    def _makeParts(self) -> None:
        ui = self.ui
        self._refreshTimer = qt.QTimer()
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(0)
        self._refreshTimer.connect("timeout()", self.refresh)
        self.status = StatusLine(ui.statusLabel, ui.progressBar, ui.cancelButton)
        self.view = PictureView()
        self.result = ResultPanel(ui.resultTable, ui.detailsLabel)
        self.job = PanelJob(self.logic, self.status, self._scheduleRefresh)
        self.server = ServerRow(
            ui, self.logic, self._onServerChanged, VHSClient, _("The whole picture, as it is shown,")
        )
        self.photo = PhotoPanel(ui, self.logic, self.job, lambda: self.picture, self._onStraightened)
        self.batch = BatchPanel(ui, self.logic, self.job)
        self.output = OutputPanel(ui, self.logic, self.job, lambda: self.picture, self._showPictureAgain)
        self.logic.sync.onChanged = self._onLandmarksChanged
        self.logic.sync.onRemoved = self._scheduleRefresh

    def _connect(self) -> None:
        ui = self.ui
        ui.breedComboBox.addItems([reference.breed for reference in REFERENCES])
        ui.noteLabel.text = f"{CATS} {DISCLAIMER}"
        ui.loadButton.connect("clicked()", self.onLoad)
        ui.sampleButton.connect("clicked()", self.onSample)
        ui.analyseButton.connect("clicked()", self.onAnalyse)
        ui.handButton.connect("clicked()", self.onPlaceByHand)
        ui.resetButton.connect("clicked()", self.onReset)
        ui.patientEdit.connect("editingFinished()", self._onPatientEdited)
        ui.breedComboBox.connect("activated(int)", self._onBreedChosen)

    def enter(self) -> None:
        """The module is shown."""
        self._entered = True
        self._takeParameterNode()
        self.server.start()
        self._shown = None
        self.refresh()

    def exit(self) -> None:
        """Another module is shown."""
        self._entered = False
        self.view.stop()
        self.server.pause()

    def cleanup(self) -> None:
        """Slicer exits or reloads the module."""
        self.exit()
        self.job.cancel()
        self._refreshTimer.stop()
        self.logic.sync.stop()
        self.server.stop()
        self._dropParameterNode()
        self.removeObservers()

    # ---- scene

    def _takeParameterNode(self) -> None:
        self._dropParameterNode()
        self._parameterNode = parameterNode()
        self._guiTag = self._parameterNode.connectGui(self.ui)
        self.addObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        if self._parameterNode.picture is None:
            self._parameterNode.picture = self._likelyPicture()
        self.refresh()

    def _dropParameterNode(self) -> None:
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged
            )
        self._parameterNode = None

    @staticmethod
    def _likelyPicture() -> Any:
        """The first volume with one slice."""
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            try:
                gridOf(node)
            except PictureError:
                continue
            return node
        return None

    def _onSceneStartClose(self, caller: Any, event: str) -> None:
        self.job.cancel()
        self._dropParameterNode()

    def _onSceneReplaced(self, caller: Any, event: str) -> None:
        self._shown, self._pictureId = None, ""
        self.status.show("")
        self._takeParameterNode()

    def _onParametersChanged(self, caller: Any = None, event: str = "") -> None:
        """The number of vertebrae belongs to the landmarks of the present picture."""
        if self._parameterNode is None:
            return
        node = landmarksOf(self.picture)
        if node is not None and self._pictureId == self.picture.GetID():
            self.logic.setVertebrae(node, self._parameterNode.vertebrae)
        self._scheduleRefresh()

    def _onLandmarksChanged(self, node: Any) -> None:
        if pictureOf_(node) is self.picture:
            self._showResult()
            if not self._refreshTimer.active:
                self._refreshTimer.start()

    def _scheduleRefresh(self) -> None:
        self._refreshTimer.start()

    # ---- state

    @property
    def picture(self) -> Any:
        """The volume that is measured, or None."""
        return self._parameterNode.picture if self._parameterNode is not None else None

    def usePicture(self, volumeNode: Any) -> None:
        """Make a volume the one that is measured, and show it."""
        self._parameterNode.picture = volumeNode
        self.refresh()

    def refresh(self) -> None:
        """Make the panel and the view show what is in the scene."""
        if self._parameterNode is None:
            return
        self._takeVertebrae()
        self._showView()
        self._showPatient()
        self._showResult()
        self._showButtons()
        if not self.status.isBusy and not self.status.text:
            self.status.show(self._hint())

    def _takeVertebrae(self) -> None:
        """A picture that is new to the panel: the number is that of its landmarks, or the default."""
        volume = self.picture
        wanted = volume.GetID() if volume is not None else ""
        if wanted == self._pictureId:
            return
        node = landmarksOf(volume)
        self._pictureId = ""  # so that the number is not written to landmarks
        self._parameterNode.vertebrae = vertebraeOf(node) if node is not None else VERTEBRAE
        self._pictureId = wanted

    def _showView(self) -> None:
        volume = self.picture
        wanted = (volume.GetID(), bool(self._parameterNode.mirrored)) if volume is not None else None
        if wanted == self._shown or not self._entered:
            return
        self._shown = wanted
        if volume is None:
            return
        self.logic.showOnly(volume)
        try:
            self.view.show(volume, self._parameterNode.mirrored)
        except PictureError as error:
            self.status.error(str(error))

    def _showPictureAgain(self) -> None:
        self._shown = None
        self._showView()

    def _showPatient(self) -> None:
        volume, ui = self.picture, self.ui
        if volume is None:
            ui.patientEdit.text = ""
            return
        patient = self.logic.patientOf(volume)
        if not ui.patientEdit.hasFocus() and ui.patientEdit.text != patient:
            ui.patientEdit.text = patient
        ui.breedComboBox.setCurrentText(volume.GetAttribute(BREED_ATTRIBUTE) or ALL_DOGS.breed)

    def _showResult(self) -> None:
        volume = self.picture
        if volume is None:
            self.result.show(None, None, "", False)
            return
        node, measurement, breed = landmarksOf(volume), None, volume.GetAttribute(BREED_ATTRIBUTE) or ""
        if node is not None:
            try:
                measurement = readMeasurement(node)
            except EXPECTED_ERRORS as error:
                self.status.error(sentenceFor(error))
        self.result.show(measurement, readAnswer(volume), breed, isSpacingKnown(volume))

    def _showButtons(self) -> None:
        ui, busy = self.ui, self.job.isBusy
        hasPicture, node = self.picture is not None, landmarksOf(self.picture)
        whyNot = self._whyNot()
        for button in (ui.analyseButton, ui.straightenButton, ui.cornersButton):
            button.enabled = hasPicture and not busy and not whyNot
        ui.batchButton.enabled = not busy and not self._serverTrouble()
        ui.handButton.enabled = hasPicture and not busy
        ui.resetButton.enabled = node is not None and not busy
        for button in (ui.reportHTMLButton, ui.reportPDFButton, ui.historyButton):
            button.enabled = node is not None and not busy
        for widget in (ui.loadButton, ui.sampleButton, ui.pictureSelector, ui.patientEdit):
            widget.enabled = not busy
        ui.analyseButton.toolTip = whyNot or _("Send the picture to the server and show what it measures.")

    def _whyNot(self) -> str:
        """Why nothing can be analysed now, "" when it can."""
        if self.picture is None:
            return _("Load a radiograph, or take the sample.")
        return self._serverTrouble()

    def _serverTrouble(self) -> str:
        if not self.server.isUp:
            return self.server.trouble or _("Waiting for the server to answer.")
        if not self.server.hasConsent:
            return _("The server is not on this computer: allow sending pictures to it in the first line.")
        return ""

    def _hint(self) -> str:
        if self._hasLandmarks:
            return _("Drag a landmark to correct it.")
        return self._whyNot() or _("Press Analyse.")

    @property
    def _hasLandmarks(self) -> bool:
        return landmarksOf(self.picture) is not None

    # ---- what the person does

    def _onServerChanged(self) -> None:
        self._showButtons()
        if not self.status.isBusy:
            self.status.show(self._hint())

    def onLoad(self) -> None:
        """Ask for a file and load it."""
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Load a radiograph"), "", FILE_FILTER)
        if path:
            self.load(path)

    def load(self, path: str) -> None:
        """Load a PNG, JPEG or DICOM file and show it."""
        self.job.attempt(lambda: self._loaded(loadPicture(path)))

    def onSample(self) -> None:
        """Load the sample radiograph and show it."""
        self.job.attempt(lambda: self._loaded(loadSampleRadiograph()))

    def _loaded(self, volumeNode: Any) -> str:
        self.usePicture(volumeNode)
        return self._hint()

    def onAnalyse(self) -> None:
        """Send the picture; the answer replaces landmarks that there are."""
        volume = self.picture
        self._onPatientEdited()
        try:
            take, client, uuid = capture(volume), self.logic.client(), self.logic.patientOf(volume)
        except EXPECTED_ERRORS as error:
            self.job.failed(error)
            return
        self.job.run(
            _("Measuring…"),
            lambda cancel, progress: askFor(client, take(), uuid, cancel, progress),
            lambda answer: self._analysed(volume, answer),
        )

    def _analysed(self, volume: Any, answer: Answer) -> str:
        if volume.GetScene() is None:
            return _("The picture was removed meanwhile.")
        seconds = self.status.elapsed()
        analysis = self.logic.apply(volume, answer)
        if analysis.landmarksNode is not None:
            self.logic.setVertebrae(analysis.landmarksNode, self._parameterNode.vertebrae)
        if answer.vhs is None:
            return f"No score · {seconds:.1f} s."
        vlas = "" if answer.vlas is None else f", VLAS {answer.vlas:.1f}"
        return f"VHS {answer.vhs:.1f}{vlas} · {seconds:.1f} s. Drag a landmark to correct it."

    def onPlaceByHand(self) -> None:
        """Landmarks to drag, without a server."""

        def place() -> str:
            node = self.logic.placeByHand(self.picture)
            self.logic.setVertebrae(node, self._parameterNode.vertebrae)
            return _("Drag each of the seven landmarks to where it belongs. The score comes with the last.")

        self.job.attempt(place)
        self._scheduleRefresh()

    def onReset(self) -> None:
        """Landmarks back to where they began."""

        def reset() -> str:
            self.logic.reset(landmarksOf(self.picture))
            return _("Landmarks are where they began.")

        self.job.attempt(reset)

    def _onStraightened(self, volumeNode: Any) -> str:
        """Show and analyse a straightened photo, when the present work is over."""
        self.usePicture(volumeNode)
        qt.QTimer.singleShot(0, self.onAnalyse)
        return _("Straightened.")

    def _onPatientEdited(self) -> None:
        if self.picture is not None and self.logic.patientOf(self.picture) != self.ui.patientEdit.text.strip():
            self.picture.SetAttribute(PATIENT_ATTRIBUTE, self.ui.patientEdit.text.strip() or None)

    def _onBreedChosen(self, index: int) -> None:
        if self.picture is not None:
            self.picture.SetAttribute(BREED_ATTRIBUTE, self.ui.breedComboBox.currentText)
            self._showResult()
