"""Errors of ``/v3``: the table of the contract, and its ``{"error": "..."}`` for whatever else goes wrong."""

from __future__ import annotations

from typing import Any

from imeasure_server.errors import ApiError, BadRequest, InternalError

PREFIX = "/v3"
MAX_IMAGE_BYTES = 10 << 20
MAX_IMAGES = 10


def is_v3(path: str) -> bool:
    """Whether an address belongs to this protocol."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def error_body(error: ApiError) -> dict[str, Any]:
    """An error of any kind as the contract writes it."""
    if isinstance(error, InternalError):
        cause = (error.details or {}).get("cause")
        return {"error": "Internal server error" if cause is None else f"Internal server error: {cause}"}
    return {"error": error.message}


class MissingField(BadRequest):
    def __init__(self, name: str) -> None:
        super().__init__(f"Missing required field: {name}")


class InvalidField(BadRequest):
    """``what`` goes on after the field's name, as in "must be a string"."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"Invalid field: {name} {what}")


class InvalidImage(BadRequest):
    """An image cannot be read; ``why`` is a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Invalid image data. {why}")


class InvalidApiKey(ApiError):
    """There was no key, or a wrong one."""

    def __init__(self) -> None:
        super().__init__(403, "INVALID_API_KEY", "Invalid API key")


class UnknownSession(ApiError):
    """No session of this customer has that id."""

    def __init__(self) -> None:
        super().__init__(404, "UNKNOWN_SESSION", "Unknown session_id: start a session with POST /v3/pop-session/start")


class SessionEnded(ApiError):
    """The session has given its last answer."""

    def __init__(self, status: str) -> None:
        super().__init__(
            409, "SESSION_ENDED", f"This session has ended ({status}): start another with POST /v3/pop-session/start"
        )


class SessionBusy(ApiError):
    """Somebody else went on with the session while this frame was worked on."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "SESSION_BUSY",
            "The session is busy with another frame; send this one again",
            headers={"Retry-After": "1"},
        )


class ImageTooLarge(ApiError):
    """An image has more bytes than are taken."""

    def __init__(self) -> None:
        super().__init__(413, "IMAGE_TOO_LARGE", f"Image exceeds maximum size of {MAX_IMAGE_BYTES >> 20}MB")


class NoScreen(ApiError):
    """There is no screen in the photograph."""

    def __init__(self) -> None:
        super().__init__(422, "CORNER_DETECTION_FAILED", "Corner detection failed")


class ScreensUnavailable(ApiError):
    """The models for photographs of screens are missing."""

    def __init__(self) -> None:
        super().__init__(503, "POP_UNAVAILABLE", "PoP pipeline not available")


class PredictionUnavailable(ApiError):
    """The models that measure are missing."""

    def __init__(self) -> None:
        super().__init__(503, "MODELS_UNAVAILABLE", "Prediction models not available")


class TookTooLong(ApiError):
    """The request was not answered in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(504, "TIMEOUT", f"The request took longer than {seconds:g} seconds")
