"""The Segment Editor effect of ``SegmentEditorAIAALib.boundary_effect``, under the name by which Slicer finds it."""

from __future__ import annotations

import os

from SegmentEditorAIAALib.boundary_effect import BoundaryEffect


class SegmentEditorEffect(BoundaryEffect):
    folder = os.path.dirname(os.path.abspath(__file__))
