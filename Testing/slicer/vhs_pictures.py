"""Pictures and landmarks for the VHSAnalyzer tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "Resources" / "SampleData" / "canine_thorax_lateral.png"

PLAUSIBLE = np.array([[0.45, 0.52], [0.56, 0.80], [0.40, 0.70], [0.64, 0.62], [0.55, 0.58], [0.36, 0.47], [0.62, 0.34]])
"""Seven landmarks (fractions) on the sample radiograph that give a score; not measured by anybody."""

EXAMPLE_ANSWER = {
    "vhs": 10.4,
    "vlas": 2.8,
    "prediction": [
        {"x": 0.42, "y": 0.15, "class": "heart_top"},
        {"x": 0.41, "y": 0.44, "class": "heart_bottom"},
        {"x": 0.25, "y": 0.30, "class": "heart_right"},
        {"x": 0.57, "y": 0.29, "class": "heart_left"},
        {"x": 0.49, "y": 0.40, "class": "VLAS"},
        {"x": 0.36, "y": 0.12, "class": "Vertebra A"},
        {"x": 0.55, "y": 0.12, "class": "Vertebra B"},
    ],
    "result_code": 1,
    "result_description": "VHS and VLAS predicted successfully with high confidence",
    "model_confidence": "optimal",
    "spread": 0.0032,
    "pop_detected": False,
    "model_version": "3.3.0-ensemble",
    "historic_vhs": [["2026-03-27", 11.38]],
    "historic_vlas": [["2026-03-27", 1.88]],
    "billing": {"billable": True, "reason": "valid_vhs", "call_type": "single", "monthly_usage": 47, "tier": "paygo"},
}
"""The contract's example of an answer for a single image."""

REJECTION = {
    "classifier_confidence": 0.7937,
    "model_version": "3.3.0-ensemble",
    "rejected": True,
    "rejection_reason": "not_a_valid_radiograph",
    "result_code": 6,
    "result_description": "Image rejected — not a valid radiograph.",
    "vhs": None,
    "vlas": None,
    "billing": {"billable": False, "reason": "no_valid_vhs", "monthly_usage": 47, "tier": "paygo"},
}
"""The contract's example of a rejection."""


def prediction(points: np.ndarray) -> list[dict[str, object]]:
    """Landmarks as the contract writes them."""
    from VHSAnalyzerLib.landmarks import LANDMARK_NAMES

    return [{"x": float(x), "y": float(y), "class": name} for name, (x, y) in zip(LANDMARK_NAMES, points)]
