"""Segmentation on any AIAA or MONAI Label server: the module as Slicer loads it. The work is in ``AIAAClientLib``."""

from __future__ import annotations

from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from AIAAClientLib.logic import AIAAClientLogic
from AIAAClientLib.module_test import AIAAClientTest
from AIAAClientLib.module_widget import AIAAClientWidget

__all__ = ["AIAAClient", "AIAAClientLogic", "AIAAClientTest", "AIAAClientWidget"]


class AIAAClient(ScriptedLoadableModule):
    """What Slicer shows of the module in its menus and help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "AIAAClient"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["IMeasure", "Segmentations"]
        self.parent.contributors = ["IMeasure developers"]
        self.parent.helpText = _(
            "Segmentation on any AIAA or MONAI Label server, the one that comes with IMeasure included.<br><br>"
            "Choose a volume and a model of the first kind, and press <b>Run</b>: each label of the answer becomes a "
            "segment. Models that are led by boundary points, clicks, boxes, lassos or scribbles are used in the "
            "<b>Segment Editor</b>, with the effects of this extension.<br><br>"
            "The volume is sent once and kept on the server for a while.<br><br>"
            "<b>Not a medical device. For research only.</b>"
        )
        self.parent.acknowledgementText = _(
            "The requests follow the public AIAA and MONAI Label interfaces. DExtr3D: Roth et al. 2021. DeepGrow: "
            "Sakinis et al. 2019. MONAI Label: Diaz-Pinto et al. 2022. This software is not a medical device and must "
            "not be used for diagnosis or treatment."
        )
