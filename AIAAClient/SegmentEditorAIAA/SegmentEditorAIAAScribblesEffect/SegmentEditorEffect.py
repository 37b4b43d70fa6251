"""The Segment Editor effect of ``SegmentEditorAIAALib.scribbles_effect``, under the name by which Slicer finds it."""

from __future__ import annotations

import os

from SegmentEditorAIAALib.scribbles_effect import ScribblesEffect


class SegmentEditorEffect(ScribblesEffect):
    folder = os.path.dirname(os.path.abspath(__file__))
