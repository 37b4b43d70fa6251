"""What the panel keeps with the scene beside the landmarks themselves."""

import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

# No ``from __future__ import annotations`` here: the wrapper reads the annotations as types.

MODULE_NAME = "VHSAnalyzer"


@parameterNodeWrapper
class VHSAnalyzerParameterNode:
    """Saved with the scene.

    Attributes:
        picture: the radiograph or photo that is measured (grey or colour).
        vertebrae: how many the line A–B spans; each picture's landmarks keep their own number.
        mirrored: whether the view shows it with left and right exchanged.
    """

    picture: slicer.vtkMRMLScalarVolumeNode
    vertebrae: int = 6
    mirrored: bool = False


def parameterNode() -> VHSAnalyzerParameterNode:
    """The module's parameter node of the present scene; made when there is none."""
    owner = ScriptedLoadableModuleLogic()
    owner.moduleName = MODULE_NAME
    return VHSAnalyzerParameterNode(owner.getParameterNode())
