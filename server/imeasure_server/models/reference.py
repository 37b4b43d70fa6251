"""Which model a job is for: small, picklable, and fixed at the moment the request came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelReference:
    """One version of one model. Requests in flight finish on the reference they began with.

    Attributes:
        name: of the model.
        loader: ``embedded``, ``torchscript``, ``bundle``, ``nninteractive``, ``sam2`` …: see ``models/loaders``.
        folder: of this version's files; None for an embedded model.
        digest: changes whenever the files do; "" for an embedded model.
    """

    name: str
    loader: str
    folder: Path | None = None
    digest: str = ""

    @property
    def key(self) -> str:
        """Of the loaded model in a worker."""
        return f"{self.loader}:{self.name}:{self.digest}"
