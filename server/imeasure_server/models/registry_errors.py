"""What the registry of models says no to."""

from __future__ import annotations

from imeasure_server.errors import ApiError


class UnknownModel(ApiError):
    """There is no such model, or its folder cannot be used; then the message says why."""

    def __init__(self, name: str, reason: str = "") -> None:
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        sentence = f"There is no model named {shown!r}; GET /v1/models lists those that there are."
        if reason:
            sentence = f"The model {shown!r} cannot be used. {reason}"
        super().__init__(404, "UNKNOWN_MODEL", sentence)


class ModelRefused(ApiError):
    """A model is not taken: its name, config or data will not do. Whatever had the name before goes on serving."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, "MODEL_REFUSED", reason)


class ModelProtected(ApiError):
    """The model is part of the server, or of another name in all but case."""

    def __init__(self, reason: str) -> None:
        super().__init__(409, "MODEL_PROTECTED", reason)


class WorkspaceUnwritable(ApiError):
    """The folder of models cannot be written to: the disk is full, or the server may not."""

    def __init__(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        super().__init__(500, "WORKSPACE_UNWRITABLE", f"The server cannot write to its folder of models ({reason}).")
