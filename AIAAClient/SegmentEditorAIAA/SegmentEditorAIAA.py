"""Registers the four AI effects of the Segment Editor; a hidden module, as Slicer wants it for effects."""

from __future__ import annotations

import os
import unittest

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

EFFECTS = {
    "AI Auto segmentation": "Auto",
    "AI Boundary points": "Boundary",
    "AI Smart clicks": "Clicks",
    "AI Scribbles": "Scribbles",
}
"""Name in the Segment Editor → part of the name of its folder, which must be no package: Slicer imports its file."""


class SegmentEditorAIAA(ScriptedLoadableModule):
    """The module as Slicer loads it. It shows nothing itself."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "SegmentEditorAIAA"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "AIAAClient"]
        self.parent.contributors = ["IMeasure developers"]
        self.parent.hidden = True
        self.parent.helpText = _(
            "Adds four effects to the Segment Editor: AI Auto segmentation, AI Boundary points, AI Smart clicks and "
            "AI Scribbles. They ask an AIAA or MONAI Label server."
        )
        self.parent.acknowledgementText = _("Not a medical device. For research only.")
        slicer.app.connect("startupCompleted()", registerEffects)


def registerEffects():
    """Put the effects into the Segment Editor's list, once."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    for part in EFFECTS.values():
        source = os.path.join(os.path.dirname(__file__), f"SegmentEditorAIAA{part}Effect", "SegmentEditorEffect.py")
        instance = effects.qSlicerSegmentEditorScriptedEffect(None)
        instance.setPythonSource(source.replace("\\", "/"))
        instance.self().register()


class SegmentEditorAIAATest(unittest.TestCase):
    """Run by ctest in the built extension; the effects' behaviour is tested in Testing/slicer/desktop."""

    def runTest(self):
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setMRMLScene(slicer.mrmlScene)
        if not set(EFFECTS) <= set(editor.availableEffectNames()):
            registerEffects()
            editor.updateEffectList()
        for name in EFFECTS:
            assert name in editor.availableEffectNames(), name
            effect = editor.effectByName(name)
            assert effect.perSegment == (name != "AI Auto segmentation")
            assert "AIAAClient" in effect.helpText()
