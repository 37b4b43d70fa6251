"""What the panel keeps with the scene beside the findings themselves."""

import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

# No ``from __future__ import annotations`` here: the wrapper reads the annotations as types.

MODULE_NAME = "IMeasure"


@parameterNodeWrapper
class IMeasureParameterNode:
    """Saved with the scene.

    Attributes:
        inputVolume: the CT in which findings are measured.
        selectedFinding: id of the finding that the next click refines, "" for none.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    selectedFinding: str = ""


def parameterNode() -> IMeasureParameterNode:
    """The module's parameter node of the present scene; made when there is none."""
    owner = ScriptedLoadableModuleLogic()
    owner.moduleName = MODULE_NAME
    return IMeasureParameterNode(owner.getParameterNode())
