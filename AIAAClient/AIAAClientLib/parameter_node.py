"""What the panel keeps with the scene."""

import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

# No ``from __future__ import annotations`` here: the wrapper reads the annotations as types.

MODULE_NAME = "AIAAClient"


@parameterNodeWrapper
class AIAAClientParameterNode:
    """Saved with the scene.

    Attributes:
        volume: what is segmented.
        segmentation: gets the segments; None for a new one.
        model: name of the model.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    model: str = ""


def parameterNode() -> AIAAClientParameterNode:
    """The module's parameter node of the present scene; made when there is none."""
    owner = ScriptedLoadableModuleLogic()
    owner.moduleName = MODULE_NAME
    return AIAAClientParameterNode(owner.getParameterNode())
