"""The seven landmarks of the RadAnalyzer V3 contract: the same names and order as the server's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""(7, 2), rows as in ``LANDMARK_NAMES``."""

HEART_TOP, HEART_BOTTOM, HEART_RIGHT, HEART_LEFT, VLAS, VERTEBRA_A, VERTEBRA_B = range(7)

LANDMARK_NAMES = ("heart_top", "heart_bottom", "heart_right", "heart_left", "VLAS", "Vertebra A", "Vertebra B")

DESCRIPTIONS = (
    "heart_top: ventral edge of the carina, where the long axis begins",
    "heart_bottom: apex of the heart, where the long axis ends",
    "heart_right: cranial end of the short axis, the widest part of the heart",
    "heart_left: caudal end of the short axis",
    "VLAS: where the caudal edge of the left atrium meets the caudal vena cava",
    "Vertebra A: cranial edge of the body of T4",
    "Vertebra B: caudal edge of the body of T9, or of the last vertebra that is counted",
)

TEMPLATE: Points = np.array(
    [[0.42, 0.36], [0.46, 0.78], [0.34, 0.55], [0.56, 0.58], [0.53, 0.46], [0.36, 0.20], [0.66, 0.22]]
)
"""Where landmarks begin that a person places by hand, as fractions of the picture. It measures nothing."""
