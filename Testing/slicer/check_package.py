"""Run by Slicer on an unpacked package: the modules come from it and load, and all that they need is in it."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import slicer


def check() -> None:
    modules = Path(os.environ["IMEASURE_PACKAGE_MODULES"])
    for name in ("imeasure", "segmenteditorimeasure", "vhsanalyzer", "aiaaclient", "segmenteditoraiaa"):
        module = getattr(slicer.modules, name)
        assert Path(module.path).parent.samefile(modules), f"{name} was loaded from {module.path}"
    import IMeasureLib.sample_data
    import VHSAnalyzerLib.sample_data

    assert IMeasureLib.sample_data.sampleFile().is_relative_to(modules)
    assert VHSAnalyzerLib.sample_data.sampleFile().is_relative_to(modules)
    server = modules / "Resources" / "server"
    for needed in ("pyproject.toml", "install.py", "requirements.lock", "requirements-torch.txt"):
        assert (server / needed).is_file(), f"{needed} is not in the package"
    assert (server / "imeasure_server" / "__init__.py").is_file()
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(slicer.mrmlScene)
    import SegmentEditorAIAA
    import SegmentEditorIMeasure

    SegmentEditorIMeasure.SegmentEditorIMeasureTest().runTest()
    SegmentEditorAIAA.SegmentEditorAIAATest().runTest()


try:
    check()
    code = 0
except BaseException:  # noqa: BLE001 - the application must end, with the reason on the screen
    traceback.print_exc()
    code = 1
slicer.util.exit(code)
