"""Click a lesion on CT, get a measured mask: the module as Slicer loads it. The work is in ``IMeasureLib``."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from IMeasureLib.logic import IMeasureLogic
from IMeasureLib.module_test import IMeasureTest
from IMeasureLib.module_widget import IMeasureWidget
from IMeasureLib.sample_data import registerSampleData

__all__ = ["IMeasure", "IMeasureLogic", "IMeasureTest", "IMeasureWidget"]


class IMeasure(ScriptedLoadableModule):
    """What Slicer shows of the module in its menus and help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "IMeasure"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["IMeasure developers"]
        self.parent.helpText = _(
            "Click a lesion on CT and get its mask, RECIST long and short axis, 3D diameter, height and volume. "
            "Refine it with more clicks or a pen stroke.<br><br>"
            "<b>TwoClick (D)</b>: click both ends of the longest diameter; always a new finding.<br>"
            "<b>TrueClick (C)</b>: click inside; right click or Ctrl+click where the finding is not. "
            "Refines the selected finding; when none is selected, begins a new one.<br>"
            "<b>MagicPen (M)</b>: draw the outline on an axial slice; refines or begins, as TrueClick does.<br>"
            "<b>New finding (N)</b>: the next click or stroke begins a finding. <b>Esc</b>: tool off.<br><br>"
            "The image around the clicks is sent to the server in the first line of the panel. A server on this "
            "computer can be started from there; before anything goes to another computer, the panel asks once.<br><br>"
            "The same is in the Segment Editor as the effect IMeasure.<br><br>"
            "<b>Not a medical device. For research only.</b>"
        )
        self.parent.acknowledgementText = _(
            "The request and answer follow the public iMeasure 3D API. "
            "The sample CT is patient STS_051 of the collection Soft-tissue-Sarcoma of The Cancer Imaging Archive "
            "(Vallières et al. 2015, doi:10.7937/K9/TCIA.2015.7GO2GSKS), CC BY 3.0. "
            "This software is not a medical device and must not be used for diagnosis or treatment."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
