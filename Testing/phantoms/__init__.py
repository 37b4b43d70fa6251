"""CT-like volumes with lesions whose masks are known, and the clicks a person would make on them."""

from phantoms.clicks import (
    correction,
    deepest_voxel,
    extreme_points,
    first_click,
)
from phantoms.generator import LesionPhantom, make_lesion_phantom
from phantoms.suite import lesion_suite

__all__ = [
    "LesionPhantom",
    "correction",
    "deepest_voxel",
    "extreme_points",
    "first_click",
    "lesion_suite",
    "make_lesion_phantom",
]
