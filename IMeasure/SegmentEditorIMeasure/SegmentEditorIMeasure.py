"""Registers the Segment Editor effect IMeasure; a hidden module, as Slicer wants it for effects of an extension."""

from __future__ import annotations

import os
import unittest

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

# Slicer imports the file under the name of its folder, which must therefore be no package.
EFFECT_SOURCE = os.path.join(os.path.dirname(__file__), "SegmentEditorIMeasureEffect", "SegmentEditorEffect.py")


class SegmentEditorIMeasure(ScriptedLoadableModule):
    """The module as Slicer loads it. It shows nothing itself."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "SegmentEditorIMeasure"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "IMeasure"]
        self.parent.contributors = ["IMeasure developers"]
        self.parent.hidden = True
        self.parent.helpText = _("Adds the effect IMeasure to the Segment Editor: click a lesion on CT, get its mask.")
        self.parent.acknowledgementText = _("Not a medical device. For research only.")
        slicer.app.connect("startupCompleted()", registerEffect)


def registerEffect():
    """Put the effect into the Segment Editor's list, once."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    instance = effects.qSlicerSegmentEditorScriptedEffect(None)
    instance.setPythonSource(EFFECT_SOURCE.replace("\\", "/"))
    instance.self().register()


class SegmentEditorIMeasureTest(unittest.TestCase):
    """Run by ctest in the built extension; the effect's behaviour is tested in Testing/slicer/desktop."""

    def runTest(self):
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setMRMLScene(slicer.mrmlScene)
        if "IMeasure" not in editor.availableEffectNames():
            registerEffect()
            editor.updateEffectList()
        assert "IMeasure" in editor.availableEffectNames()
        effect = editor.effectByName("IMeasure")
        assert effect.perSegment
        assert "TrueClick" in effect.helpText()
