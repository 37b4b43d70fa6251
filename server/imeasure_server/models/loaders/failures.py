"""Errors of code that is not ours, in a few words without paths."""

from __future__ import annotations

import re

from imeasure_server.models.device import out_of_memory_sentence
from imeasure_server.models.inference import ModelFailed
from imeasure_server.segmentation.engine import SegmentationError

MAX_SAID = 200
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][\w.+ -]+){2,}")


def said(error: BaseException) -> str:
    """Type and first line of an error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # An error inside TorchScript has its own words last.
    text = lines[-1] if lines and "TorchScript" in lines[0] else (lines[0] if lines else "")
    text = _PATH.sub("…", text)
    text = text if len(text) <= MAX_SAID else f"{text[: MAX_SAID - 1]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def model_failed(what: str, error: Exception) -> Exception:
    """What to raise instead of an error of a model: errors that mean something of their own stay themselves."""
    if isinstance(error, SegmentationError) or out_of_memory_sentence(error) is not None:
        return error
    return ModelFailed(f"{what} ({said(error)}).")
