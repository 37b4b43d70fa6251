"""MONAI Label's own plugin runs in a Slicer of its own: ``run.py --slicer … Testing/slicer/plugin``."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

DESKTOP = pathlib.Path(__file__).parents[1] / "desktop"
if str(DESKTOP) not in sys.path:
    sys.path.append(str(DESKTOP))

try:
    import slicer

    HAS_PLUGIN = hasattr(slicer, "modules") and hasattr(slicer.modules, "monailabel")
except ImportError:
    HAS_PLUGIN = False

if HAS_PLUGIN:
    _spec = importlib.util.spec_from_file_location("desktop_conftest", DESKTOP / "conftest.py")
    _desktop = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_desktop)
    desktop, serverUrl = _desktop.desktop, _desktop.serverUrl


def pytest_ignore_collect(collection_path, config):
    """Without the plugin there is nothing to drive."""
    return None if HAS_PLUGIN else True
