"""Vertebral heart score from a lateral radiograph: the module as Slicer loads it. The work is in ``VHSAnalyzerLib``."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from VHSAnalyzerLib.logic import VHSAnalyzerLogic
from VHSAnalyzerLib.module_test import VHSAnalyzerTest
from VHSAnalyzerLib.module_widget import VHSAnalyzerWidget
from VHSAnalyzerLib.sample_data import registerSampleData

__all__ = ["VHSAnalyzer", "VHSAnalyzerLogic", "VHSAnalyzerTest", "VHSAnalyzerWidget"]


class VHSAnalyzer(ScriptedLoadableModule):
    """What Slicer shows of the module in its menus and help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "VHSAnalyzer"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = ["IMeasure"]
        self.parent.contributors = ["IMeasure developers"]
        self.parent.helpText = _(
            "Vertebral heart score (VHS) and left atrial size (VLAS) from a lateral chest radiograph of a dog: "
            "a file, a DICOM image, or a photo of a screen.<br><br>"
            "<b>Analyse</b> sends the picture to the server, which finds seven landmarks and tells how "
            "sure it is. <b>Drag a landmark</b> and the score follows; the model's own answer stays beside it.<br>"
            "<b>Place by hand</b> needs no server. <b>Photo of a screen</b>: drag the four corners, straighten."
            "<br><br>For dogs only. <b>Not a medical device. For research only.</b>"
        )
        self.parent.acknowledgementText = _(
            "VHS: Buchanan and Bücheler 1995. VLAS: Malcolm et al. 2018. The request and answer follow the public "
            "RadAnalyzer V3 API. The sample radiograph is from the Radiographic Dataset for VHS determination learning "
            "process (Flores Duenas et al., Mendeley Data, doi:10.17632/ktx4cj55pn.1), CC BY 4.0. "
            "This software is not a medical device and must not be used for diagnosis or treatment."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
