"""The engine that needs no training: intensities, distances in mm and minimum cuts.

A click says where the object is, not how big. So the object is looked for at a series of sizes, each on a grid that
fits it; the size whose boundary looks best is kept and refined at the volume's resolution. Corrections are cuts of
their own around the new click. Methods: Boykov and Funka-Lea, "Graph Cuts and Efficient N-D Image Segmentation",
IJCV 2006; Rother et al., "GrabCut", SIGGRAPH 2004.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.segmentation.binding import Edit, apply_edit, bind, check_prompts, new_edits
from imeasure_server.segmentation.candidates import Candidate, grid_for, segment_hypothesis
from imeasure_server.segmentation.engine import (
    Cancellation,
    EmptySegmentationError,
    SegmentationCancelled,
)
from imeasure_server.segmentation.local_edit import propose
from imeasure_server.segmentation.prompt_evidence import evidence_on, hypotheses
from imeasure_server.segmentation.prompts import PointPrompt, Prompts
from imeasure_server.segmentation.quality import boundary_change, features_of, predicted_overlap
from imeasure_server.segmentation.refinement import refine
from imeasure_server.segmentation.usable_image import usable

FINENESS = 6.0  # samples per radius in the search
LEAST_QUALITY = 0.3  # below it, one click has found nothing
DOUBTFUL_QUALITY = 0.55  # below it, boundary and intensities must set the object apart
LEAST_SEPARATION = 0.65


class GraphCutEngine:
    """Classical segmentation by graph cut; runs on the CPU whatever ``device`` says.

    Args:
        device: remembered only.
    """

    name = "graph-cut"

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def segment(self, volume: Volume, prompts: Prompts, cancellation: Cancellation | None = None) -> BoolArray:
        """Segment one object; see ``SegmentationEngine.segment``."""
        check_prompts(prompts, volume.geometry.shape)
        array, floor = usable(volume.array)
        spacing = volume.geometry.spacing
        previous = prompts.previous_mask
        if previous is not None and previous.any():
            mask = np.array(previous, dtype=bool)
            for edit in new_edits(mask, prompts, spacing):
                _check(cancellation)
                if edit.detached:
                    proposal = _another_part(array, spacing, prompts, edit, floor)[edit.block]
                else:
                    proposal = propose(array, spacing, mask, edit, floor)
                mask = apply_edit(mask, edit, proposal)
            return bind(mask, prompts, spacing)
        candidates = search(array, spacing, prompts, floor, cancellation)
        sized = bool(prompts.strokes or prompts.box or prompts.extreme_pairs)
        best = agree(candidates) if sized else pick(candidates)
        if best is None:
            raise EmptySegmentationError("No boundary was found around the click: click inside the lesion.")
        _check(cancellation)
        return bind(refine(array, spacing, best, prompts), prompts, spacing)


def _another_part(
    array: npt.NDArray[Any], spacing: FloatArray, prompts: Prompts, edit: Edit, noise_floor: float
) -> BoolArray:
    """What one click far from the previous mask shows: a search of its own; all False when it finds nothing."""
    x, y, z = edit.centre
    click = PointPrompt((float(x), float(y), float(z)), True)
    alone = Prompts(points=(click, *(point for point in prompts.points if not point.positive)))
    found = pick(search(array, spacing, alone, noise_floor))
    return np.zeros(array.shape, dtype=bool) if found is None else refine(array, spacing, found, alone)


def search(
    array: npt.NDArray[Any],
    spacing: FloatArray,
    prompts: Prompts,
    noise_floor: float,
    cancellation: Cancellation | None = None,
) -> list[Candidate | None]:
    """One candidate for each size (None where nothing was found), smallest first."""
    x, y, z = array.shape
    shape = (x, y, z)
    found: list[Candidate | None] = []
    guesses = hypotheses(prompts, spacing, shape)
    sized = guesses[0].trust > 0
    common = grid_for(max(guesses, key=lambda h: h.radius), spacing, shape, FINENESS)
    for hypothesis in guesses:
        _check(cancellation)
        # Guesses of a known size differ little and are compared sample by sample.
        grid = common if sized else grid_for(hypothesis, spacing, shape, FINENESS)
        evidence = evidence_on(grid, prompts, hypothesis, spacing, shape)
        found.append(segment_hypothesis(array, spacing, hypothesis, grid, evidence, noise_floor))
    return found


def agree(candidates: list[Candidate | None]) -> Candidate | None:
    """What most candidates of one grid have in common; None when that is nothing."""
    found = [candidate for candidate in candidates if candidate is not None]
    if not found:
        return None
    votes = np.mean([candidate.mask for candidate in found], axis=0)
    middle = found[len(found) // 2]
    mask = votes > 0.5 if (votes > 0.5).any() else middle.mask
    return replace(middle, mask=mask)


def pick(candidates: list[Candidate | None]) -> Candidate | None:
    """The best-looking candidate, or None when none looks like an object."""
    best: tuple[float, FloatArray, Candidate] | None = None
    for index, candidate in enumerate(candidates):
        if candidate is not None:
            features = features_of(candidates, index)
            quality = predicted_overlap(features)
            if best is None or quality > best[0]:
                best = quality, features, candidate
    if best is None or best[0] < LEAST_QUALITY:
        return None
    # Chance makes blobs in plain ground: no change over most of their boundary, intensities as everywhere else.
    unclear = boundary_change(best[1]) < 1.0 or best[2].model.separation < LEAST_SEPARATION
    if best[0] < DOUBTFUL_QUALITY and unclear:
        return None
    return best[2]


def _check(cancellation: Cancellation | None) -> None:
    if cancellation is not None and cancellation.is_set():
        raise SegmentationCancelled("The request was cancelled.")
