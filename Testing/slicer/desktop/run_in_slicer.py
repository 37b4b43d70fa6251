"""Run by the desktop Slicer itself (``--python-script``): pytest on ``Testing/slicer``, then exit with its code.

Started by ``run.py``, which says by environment variables where the server is and where reports go.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback

import qt
import slicer

HERE = os.path.dirname(os.path.abspath(__file__))
SLICER_TESTS = os.path.dirname(HERE)
REPOSITORY = os.path.dirname(os.path.dirname(SLICER_TESTS))
GIVE_UP_AFTER_SECONDS = 900


def ensurePytest() -> None:
    """Official Slicer builds bundle no pytest."""
    try:
        import pytest  # noqa: F401
    except ImportError:
        slicer.util.pip_install("pytest")


def runPytest() -> int:
    """Run the tests inside the application; returns pytest's exit code."""
    ensurePytest()
    import pytest

    output = os.environ["IMEASURE_TEST_OUTPUT"]
    arguments = json.loads(os.environ.get("IMEASURE_TEST_PYTEST_ARGUMENTS", "[]"))
    chosen = [argument for argument in arguments if not argument.startswith("-")]
    if not any(os.path.exists(os.path.join(REPOSITORY, path.split("::")[0])) for path in chosen):
        arguments = [SLICER_TESTS, *arguments]
    os.chdir(REPOSITORY)
    # Event-loop tests are slow to fail and this build has no pytest-timeout: dump all stacks and end when it hangs.
    faulthandler.dump_traceback_later(GIVE_UP_AFTER_SECONDS, exit=True, file=sys.__stderr__)
    code = pytest.main(
        [
            "-p",
            "no:cacheprovider",
            "--rootdir",
            REPOSITORY,
            "-W",
            "ignore::pytest.PytestConfigWarning",
            "--junit-xml",
            os.path.join(output, "junit.xml"),
            "--durations=8",
            *arguments,
        ]
    )
    faulthandler.cancel_dump_traceback_later()
    return int(code)


def main() -> None:
    try:
        code = runPytest()
    except BaseException:  # noqa: BLE001 - whatever happens, the application must end and say so
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    slicer.util.exit(code)


# From the event loop, when the main window is up and the modules have finished their start-up.
qt.QTimer.singleShot(500, main)
