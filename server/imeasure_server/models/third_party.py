"""Models of packages that this server does not bring: what is needed for them, and whose their weights are.

Asked where HTTP is answered, so it imports none of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NNINTERACTIVE = "nninteractive"
SAM2 = "sam2"

PACKAGES: Mapping[str, tuple[str, str]] = {
    NNINTERACTIVE: ("nnInteractive.inference.inference_session", 'pip install "nnInteractive>=2.6,<3"'),
    SAM2: ("sam2.sam2_video_predictor", 'SAM2_BUILD_CUDA=0 pip install "sam2>=1.1,<2"'),
}
"""By loader: the module that is used, and the command that installs it."""

NOT_STATED = "not stated with the weights: ask whoever made them"

_FROM_THE_DATASET = {"Dataset225_nnInteractiveV2": "CC BY-NC-SA 4.0 (no commercial use)"}
"""nnInteractive's first weights came without a file that says so; its own loader knows them by their dataset too."""
_MAX_PLANS_BYTES = 16 << 20


def why_not(loader: str) -> str | None:
    """Why models of that loader cannot be loaded by this Python, and what to do; None when they can, or are ours."""
    if loader not in PACKAGES:
        return None
    module, command = PACKAGES[loader]
    package = module.partition(".")[0]
    try:
        found = find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if found:
        return None
    return (
        f"The Python package {package} is not installed beside the server. "
        f"Install it into the server's environment ({command}) and restart the server."
    )


def find_weights(folder: Path, wanted: str) -> Path | None:
    """Where ``wanted`` lies in a model's folder: in it, or in the one folder that has it."""
    for place in (folder, *sorted(item for item in folder.iterdir() if item.is_dir() and item.name[:1] != ".")):
        if (place / wanted).is_file():
            return place
    return None


def licence_of(loader: str, folder: Path) -> str:
    """The licence of the weights in a model's folder, as far as their files say; "" for models of this server."""
    if loader not in PACKAGES:
        return ""
    for name in ("LICENSE", "LICENSE.txt", "LICENCE", "LICENSE.md"):
        place = find_weights(folder, name)
        if place is not None:
            lines = (place / name).read_text(encoding="utf-8", errors="replace").splitlines()
            first = next((line.strip() for line in lines if line.strip()), "")
            if first:
                return first[:200]
    place = find_weights(folder, "plans.json") if loader == NNINTERACTIVE else None
    plans = {} if place is None else _small_json(place / "plans.json")
    return _FROM_THE_DATASET.get(str(plans.get("dataset_name")), NOT_STATED)


def _small_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_PLANS_BYTES:
            return {}
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
