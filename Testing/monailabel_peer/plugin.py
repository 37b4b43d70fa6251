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


LEGACY_CGI = "legacy-cgi==2.6.4"


def plugin_folder() -> Path:
    """The plugin's module folder; sets up what it is taken from first."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    subprocess.run([str(HERE / "setup.sh"), sys.executable, str(ENVIRONMENT)], check=True)
    found = sorted(ENVIRONMENT.glob("**/plugins/slicer/MONAILabel/MONAILabel.py"))
    if not found:
        raise FileNotFoundError("The wheel of MONAI Label holds no Slicer plugin.")
    return found[0].parent


def give_cgi(slicer: Path) -> None:
    """Give a Slicer with Python 3.13 or newer the ``cgi`` that the plugin imports."""
    beside = (slicer.with_name("PythonSlicer"), slicer.parent / "bin" / "PythonSlicer")
    python = next((path for path in beside if path.is_file()), None)
    if python is None:
        raise FileNotFoundError(f"There is no PythonSlicer beside {slicer}.")
    if subprocess.call([str(python), "-c", "import cgi"], stderr=subprocess.DEVNULL) != 0:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", LEGACY_CGI], check=True)
