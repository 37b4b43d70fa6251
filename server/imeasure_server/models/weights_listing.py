"""Which models this server has, and whether their weights are what they should be.

Weights are files in ``weights/``; ``weights/SHA256SUMS`` (as written by ``sha256sum``) lists what they must be. A model
without its weights is not listed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parent.parent / "weights"
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be used.

    Attributes:
        name: of an engine as ``--engine`` takes it; ``vhs`` is what ``/v3`` answers with.
        task: what it does.
        is_default: used unless another one is asked for.
        summary: one sentence.
    """

    name: str
    task: str
    is_default: bool
    summary: str


@dataclass(frozen=True)
class WeightsFile:
    """One file of weights.

    Attributes:
        name: of the file.
        expected: SHA-256 that it must have, in hexadecimal.
        found: SHA-256 that it has, or None when it is missing.
    """

    name: str
    expected: str
    found: str | None

    @property
    def is_intact(self) -> bool:
        return self.found == self.expected


def list_models() -> list[ModelEntry]:
    """The models that work here. Imports the engines."""
    from imeasure_server.segmentation.engines import DEFAULT_ENGINE, ENGINE_NAMES, create_engine
    from imeasure_server.vhs.models_present import vhs_models

    entries = []
    for name in ENGINE_NAMES:
        engine = create_engine(name, "cpu")
        if engine.name != name:  # without its weights another one answers in its place
            continue
        summary = (type(engine).__doc__ or "").strip().partition("\n")[0]
        entries.append(ModelEntry(name, "segmentation", name == DEFAULT_ENGINE, summary))
    radiographs = vhs_models(WEIGHTS)
    if radiographs.prediction:
        summary = f"Vertebral heart score of dogs from a lateral chest radiograph: {radiographs.prediction} networks."
        entries.append(ModelEntry("vhs", "landmarks", False, summary))
    return entries


def list_weights(folder: Path = WEIGHTS) -> list[WeightsFile]:
    """Every file of weights in ``SHA256SUMS``, with the hash it has.

    Raises:
        ValueError: a line of ``SHA256SUMS`` is not a hash and a name.
    """
    listing = folder / CHECKSUMS
    if not listing.is_file():
        return []
    files = []
    for line in listing.read_text(encoding="utf-8").splitlines():
        expected, _, name = line.partition("  ")
        if len(expected) != 64 or not name or Path(name).name != name:
            raise ValueError(f"A line of {CHECKSUMS} is not a SHA-256 and a file name.")
        path = folder / name
        files.append(WeightsFile(name, expected.lower(), _sha256(path) if path.is_file() else None))
    return files


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
