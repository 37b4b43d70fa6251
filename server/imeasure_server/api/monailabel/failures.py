"""What goes wrong below the protocol, as answers of the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from imeasure_server.datastore import BadItem, NotWritable, UnknownItem
from imeasure_server.errors import ApiError, BadRequest
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.models.failures import OutOfMemory
from imeasure_server.models.inference import ModelFailed
from imeasure_server.segmentation.engine import SegmentationError


@contextmanager
def datastore_errors() -> Iterator[None]:
    """Errors of the studies folder become answers."""
    try:
        yield
    except UnknownItem as error:
        raise ApiError(404, "NOT_FOUND", str(error)) from error
    except (BadItem, ImageError) as error:
        raise BadRequest(str(error)) from error
    except NotWritable as error:
        raise ApiError(403, "NOT_WRITABLE", str(error)) from error


@contextmanager
def model_errors() -> Iterator[None]:
    """Errors of models become answers; out of memory is told in the words of the contract."""
    try:
        yield
    except OutOfMemory as error:
        raise ApiError(500, "OUT_OF_MEMORY", "CUDA out of memory") from error
    except ModelFailed as error:
        raise ApiError(500, "MODEL_FAILED", str(error)) from error
    except SegmentationError as error:
        raise BadRequest(str(error)) from error
