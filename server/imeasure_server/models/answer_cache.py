"""The last answers of models: the same question about the same image has the same answer.

MONAI Label's plugins run a model on every image that is shown, and people open the same images again.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.models.inference import ModelInputs
from imeasure_server.models.model_jobs import ModelOutcome
from imeasure_server.models.reference import ModelReference


class AnswerCache:
    """Answers in memory, least recently used ones forgotten when they grow too large. Any number of threads may use it.

    An answer belongs to one version of a model, to the bytes that the image was decoded from, and to everything that
    the client sent with it: it is given only to whoever sends all of that.
    """

    def __init__(self, max_bytes: int) -> None:
        """Args:
        max_bytes: of all answers together; 0 to remember none.
        """
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def find(self, key: str) -> ModelOutcome | None:
        """The answer to a question (`question_key`), or None; it counts as used now."""
        with self._lock:
            packed = self._answers.get(key)
            if packed is None:
                return None
            self._answers.move_to_end(key)
        outcome: ModelOutcome = pickle.loads(packed)
        return outcome

    def keep(self, key: str, outcome: ModelOutcome) -> None:
        """Remember an answer."""
        bare = ModelOutcome(outcome.packed, dict(outcome.label_names), dict(outcome.result))
        packed = pickle.dumps(bare, protocol=5)
        if len(packed) > self._max_bytes:
            return
        with self._lock:
            self._bytes += len(packed) - len(self._answers.pop(key, b""))
            self._answers[key] = packed
            while self._bytes > self._max_bytes:
                _, oldest = self._answers.popitem(last=False)
                self._bytes -= len(oldest)


def question_key(model: ModelReference, image: StoredImage, inputs: ModelInputs) -> str:
    """A name for a question: differs whenever the model's version, the image or anything in the inputs does. Blocks
    while a label is hashed.
    """
    question = hashlib.sha256()
    about = [model.key, image.digest, image.series_uid, image.volume.shape, image.volume.affine.tolist()]
    question.update(json.dumps(about).encode())
    for entry in fields(inputs):
        value = getattr(inputs, entry.name)
        question.update(f"\n{entry.name}:".encode())
        if isinstance(value, np.ndarray):
            question.update(f"{value.shape} {value.dtype.str} {_in_order(value)}\n".encode())
            question.update(np.ascontiguousarray(value.T if _in_order(value) == "F" else value).data)
        else:
            question.update(json.dumps(value, default=_plain).encode())
    return question.hexdigest()


def _in_order(array: npt.NDArray[Any]) -> str:
    return "F" if array.flags.f_contiguous else "C"


def _plain(value: object) -> object:
    """What JSON has no form for. Order counts in mappings too: a client that sends another one asks anew."""
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(getattr(value, entry.name) for entry in fields(value))]
    if isinstance(value, Mapping):
        return dict(value)
    return repr(value)
