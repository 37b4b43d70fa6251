"""Errors that a client is told about: status, code, message and details, without any web framework.

One class per row of the iMeasure contract's error table, and five for what every protocol of the server needs:
`Unauthorized`, `BadRequest`, `PayloadTooLarge`, `ServerBusy` and `DatabaseUnavailable`. `api/middleware.py` renders
all of them as ``{"error", "code", "details"?}``, as ``{"error"}`` on addresses of the RadAnalyzer API, and as
``{"detail"}`` on those of AIAA and MONAI Label.
Messages are sentences for a person: they never hold a traceback, a path of this machine or a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ApiError(Exception):
    """An answer that is not a success.

    Attributes:
        status: HTTP status.
        code: machine-readable code, upper case.
        message: one sentence for a person.
        details: more about it, or None when there is nothing to add.
        headers: extra response headers, or None.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details) if details else None
        self.headers = dict(headers) if headers else None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object of the answer."""
        content: dict[str, Any] = {"error": self.message, "code": self.code}
        if self.details is not None:
            content["details"] = self.details
        return content


class TableError(ApiError):
    """An error whose status, code and message never vary; only its details do."""

    STATUS: ClassVar[int]
    CODE: ClassVar[str]
    MESSAGE: ClassVar[str]

    def __init__(self, details: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.STATUS, self.CODE, self.MESSAGE, details, headers)


class UnsupportedMediaType(TableError):
    STATUS, CODE, MESSAGE = 415, "UNSUPPORTED_MEDIA_TYPE", "Request must be multipart/form-data"


class MissingMetadata(TableError):
    STATUS, CODE, MESSAGE = 400, "MISSING_METADATA", "Missing metadata file in form data"


class MissingImage(TableError):
    STATUS, CODE, MESSAGE = 400, "MISSING_IMAGE", "Missing image file in form data"


class MetadataMalformedJson(TableError):
    STATUS, CODE, MESSAGE = 400, "METADATA_MALFORMED_JSON", "Metadata file contains invalid JSON"


class RequestInvalid(TableError):
    """Fields are missing, wrong or contradict each other; the details name each field with a list of sentences."""

    STATUS, CODE, MESSAGE = 422, "VALIDATION_ERROR", "Invalid request data"

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__({name: list(messages) for name, messages in fields.items()})


class ImageDataSizeMismatch(TableError):
    """The image part does not hold two bytes per voxel of the declared shape."""

    STATUS, CODE, MESSAGE = 422, "IMAGE_DATA_SIZE_MISMATCH", "Image data size does not match declared shape"

    def __init__(self, expected: int, received: int) -> None:
        super().__init__({"expected_bytes": str(expected), "received_bytes": str(received)})


class MaskShapeMismatch(TableError):
    """The mask part does not hold one byte per voxel of the declared shape."""

    STATUS, CODE, MESSAGE = 422, "MASK_SHAPE_MISMATCH", "Mask shape does not match image shape"

    def __init__(self, expected: int, received: int) -> None:
        super().__init__({"expected_bytes": str(expected), "received_bytes": str(received)})


class ClicksOutOfBounds(TableError):
    STATUS, CODE, MESSAGE = 422, "CLICKS_OUT_OF_BOUNDS", "Click coordinates outside valid bounds"


class CropSizeTooSmall(TableError):
    STATUS, CODE, MESSAGE = (
        422,
        "CROP_SIZE_TOO_SMALL",
        "Crop size is below minimum required dimensions (64x64x16)",
    )


class MagicPenNotAxial(TableError):
    STATUS, CODE, MESSAGE = (
        422,
        "MAGIC_PEN_NOT_AXIAL",
        "All points in a magic pen contour must be on the same axial plane (same Z coordinate)",
    )


class EmptySegmentationOutput(TableError):
    STATUS, CODE, MESSAGE = 422, "EMPTY_SEGMENTATION_OUTPUT", "Segmentation produced no output"


class OutputShapeMismatch(TableError):
    """An engine answered a mask of another shape than the payload's."""

    STATUS, CODE, MESSAGE = 500, "OUTPUT_SHAPE_MISMATCH", "Output shape does not match expected shape"

    def __init__(self, expected: Sequence[int], received: Sequence[int]) -> None:
        super().__init__({"expected_shape": [int(n) for n in expected], "output_shape": [int(n) for n in received]})


class InternalError(TableError):
    STATUS, CODE, MESSAGE = 500, "INTERNAL_ERROR", "An unexpected error occurred"


class Unauthorized(TableError):
    """The server asks for a key and the request had none, or a wrong one."""

    STATUS, CODE, MESSAGE = 401, "UNAUTHORIZED", "This server needs a valid API key: send it in the x-api-key header"


class BadRequest(ApiError):
    """What was sent cannot be read, or not be answered; the message says what to send instead."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "BAD_REQUEST", message)


class PayloadTooLarge(ApiError):
    """The body, or the metadata part in it, is larger than the server takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            413,
            "PAYLOAD_TOO_LARGE",
            "Request body is larger than this server accepts",
            {"limit_bytes": str(limit_bytes)},
        )


class ServerBusy(ApiError):
    """Every place in the queue is taken."""

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__(
            503,
            "SERVER_BUSY",
            "The server is busy; try again in a moment",
            headers={"Retry-After": str(retry_after_seconds)},
        )


class DatabaseUnavailable(ApiError):
    """The database that the request needs did not do what was asked."""

    def __init__(self, retry_after_seconds: int = 5) -> None:
        super().__init__(
            503,
            "DATABASE_UNAVAILABLE",
            "The server's database does not answer; try again in a moment",
            headers={"Retry-After": str(retry_after_seconds)},
        )
