"""The Segment Editor effect of ``SegmentEditorAIAALib.auto_effect``, under the name by which Slicer finds it."""

from __future__ import annotations

import os

from SegmentEditorAIAALib.auto_effect import AutoEffect


class SegmentEditorEffect(AutoEffect):
    folder = os.path.dirname(os.path.abspath(__file__))
