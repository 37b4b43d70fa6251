"""The Segment Editor effect of ``SegmentEditorAIAALib.clicks_effect``, under the name by which Slicer finds it."""

from __future__ import annotations

import os

from SegmentEditorAIAALib.clicks_effect import ClicksEffect


class SegmentEditorEffect(ClicksEffect):
    folder = os.path.dirname(os.path.abspath(__file__))
