"""Which of the models for radiographs are there, by their files alone: nothing is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from imeasure_server.models.weights_listing import CHECKSUMS, list_weights

FOLDS = 5
FEWEST_FOLDS = 3
"""An ensemble of fewer says nothing of how far its members agree."""

ORIENTATION_WEIGHTS = "vhs_orientation.safetensors"
CLASSIFIER_WEIGHTS = "radiograph_classifier.safetensors"
SCREEN_WEIGHTS = "screen.safetensors"


def fold_weights(fold: int) -> str:
    """Name of the file of a fold's landmark network, 0 to 4."""
    return f"vhs_landmarks_{fold}.safetensors"


@dataclass(frozen=True)
class VhsModels:
    """What can be used.

    Attributes:
        prediction: landmark networks, 0 when there are too few or when what they need beside them is missing.
        pop: of these, those that may read rectified screens; the same networks serve both.
        pop_pipeline: whether screens in photographs can be found and measured.
        classifier: whether pictures that are no radiographs can be told.
    """

    prediction: int
    pop: int
    pop_pipeline: bool
    classifier: bool

    @property
    def is_complete(self) -> bool:
        """Whether no file is missing or damaged."""
        return self.prediction == FOLDS and self.pop == FOLDS and self.pop_pipeline and self.classifier


def vhs_models(folder: Path) -> VhsModels:
    """Look at a folder of weights. Files that have not changed since are not read again."""
    intact = _intact(folder, _state(folder))
    classifier = CLASSIFIER_WEIGHTS in intact
    folds = sum(fold_weights(fold) in intact for fold in range(FOLDS))
    usable = folds if folds >= FEWEST_FOLDS and classifier and ORIENTATION_WEIGHTS in intact else 0
    screens = usable > 0 and SCREEN_WEIGHTS in intact
    return VhsModels(usable, usable if screens else 0, screens, classifier)


def intact_folds(folder: Path) -> list[int]:
    """The folds whose weights are there and undamaged."""
    intact = _intact(folder, _state(folder))
    return [fold for fold in range(FOLDS) if fold_weights(fold) in intact]


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file that counts: what would change with its content."""
    names = [*map(fold_weights, range(FOLDS)), ORIENTATION_WEIGHTS, CLASSIFIER_WEIGHTS, SCREEN_WEIGHTS, CHECKSUMS]
    found = []
    for name in names:
        path = folder / name
        if path.is_file():
            status = path.stat()
            found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(found)


@lru_cache(maxsize=8)
def _intact(folder: Path, state: tuple[tuple[str, int, int], ...]) -> frozenset[str]:
    return frozenset(entry.name for entry in list_weights(folder) if entry.is_intact)
