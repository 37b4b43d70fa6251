"""Names of models: they are names of folders, and must stay inside the workspace on every file system."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))})

RULE = (
    "Names of models have up to 80 letters, digits and _ . + -, begin with a letter or digit, have no two dots in a "
    "row, do not end with a dot, and are not names of devices such as CON."
)


def is_model_name(name: str) -> bool:
    """Whether a model may be called that; see `RULE`."""
    return (
        _NAME.fullmatch(name) is not None
        and ".." not in name
        and not name.endswith(".")
        and name.lower().partition(".")[0] not in _DEVICES
    )
