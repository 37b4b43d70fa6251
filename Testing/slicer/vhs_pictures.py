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


def samplePixels() -> np.ndarray:
    """(height, width) uint8 of the sample radiograph, by VTK's reader."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    reader = vtk.vtkPNGReader()
    reader.SetFileName(str(SAMPLE))
    reader.Update()
    width, height, _ = reader.GetOutput().GetDimensions()
    pixels = vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars())
    return np.ascontiguousarray(pixels.reshape(height, width)[::-1])


def photoOfScreen() -> tuple[np.ndarray, np.ndarray]:
    """A photo of the sample on a monitor, and the screen's corners (TL, TR, BR, BL) as fractions of the photo."""
    sample = samplePixels().astype(float)
    height, width = 1000, 1400
    corners = np.array([[230.0, 150.0], [1190.0, 190.0], [1150.0, 880.0], [250.0, 860.0]])
    toScreen = _homography(
        corners, [(0, 0), (sample.shape[1], 0), (sample.shape[1], sample.shape[0]), (0, sample.shape[0])]
    )
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    u, v, w = np.einsum("ij,jyx->iyx", toScreen, np.stack([x, y, np.ones_like(x)]))
    u, v = u / w, v / w
    random = np.random.default_rng(3)
    desk = 130 + 25 * np.sin(y / 37.0) + random.normal(0, 4, (height, width))
    margin = 35
    onBezel = (u > -margin) & (v > -margin) & (u < sample.shape[1] + margin) & (v < sample.shape[0] + margin)
    onScreen = (u >= 0) & (v >= 0) & (u < sample.shape[1]) & (v < sample.shape[0])
    photo = np.where(onBezel, 18.0 + random.normal(0, 2, (height, width)), desk)
    columns = np.clip(u, 0, sample.shape[1] - 1).astype(int)
    rows = np.clip(v, 0, sample.shape[0] - 1).astype(int)
    photo = np.where(onScreen, 25 + 0.85 * sample[rows, columns] + random.normal(0, 3, (height, width)), photo)
    return np.clip(photo, 0, 255).astype(np.uint8), corners / (width, height)


def _homography(source: np.ndarray, target: list[tuple[int, int]]) -> np.ndarray:
    """3×3 that takes four points to four others."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values, float)), 1.0).reshape(3, 3)
