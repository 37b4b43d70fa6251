"""MONAI Label's own Slicer plugin, unmodified: from the wheel of 0.8.5, or from the folder that a person names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / ".venv-monailabel"
VARIABLE = "MONAILABEL_PLUGIN"
"""Names the plugin's folder (``plugins/slicer/MONAILabel`` of a checkout of MONAI Label) to drive another version."""


def plugin_folders() -> tuple[Path, Path]:
    """The plugin's module folder, and one for PYTHONPATH with the ``cgi`` that it imports; sets them up first."""
    subprocess.run([str(HERE / "setup.sh"), sys.executable, str(ENVIRONMENT)], check=True)
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given), ENVIRONMENT / "legacy-cgi"
    found = sorted(ENVIRONMENT.glob("**/plugins/slicer/MONAILabel/MONAILabel.py"))
    if not found:
        raise FileNotFoundError("The wheel of MONAI Label holds no Slicer plugin.")
    return found[0].parent, ENVIRONMENT / "legacy-cgi"
