"""Errors of the AIAA and MONAI Label addresses: ``{"detail": "..."}``, as MONAI Label's contract has them."""

from __future__ import annotations

from typing import Any

from imeasure_server.errors import ApiError, InternalError

_PREFIXES = frozenset(
    {
        "activelearning",
        "admin",
        "auth",
        "batch",
        "datastore",
        "infer",
        "info",
        "logs",
        "scoring",
        "session",
        "train",
        "v1",
        "wsi",
    }
)


def answers_detail(path: str) -> bool:
    """Whether an address belongs to one of the two protocols."""
    return path.lstrip("/").partition("/")[0] in _PREFIXES


def detail_body(error: ApiError) -> dict[str, Any]:
    """An error of any kind in their form; out of memory is told in the words of the contract."""
    if isinstance(error, InternalError) and error.details is not None and "cause" in error.details:
        return {"detail": str(error.details["cause"])}
    return {"detail": error.message}
