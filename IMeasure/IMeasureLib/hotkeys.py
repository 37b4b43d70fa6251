"""Keys of the module and of the Segment Editor effect, the same in both.

Not taken by Slicer's views (arrows, b, f, g, r, t, v, brackets), nor by the Segment Editor (digits, Shift+digits, Esc,
space, i, q, w, y, z, comma, period, slash, asterisk, less, greater).
"""

from __future__ import annotations

HOTKEYS = {"TwoClick": "D", "TrueClick": "C", "MagicPen": "M"}
"""Tool's name → key that turns it on and off."""

NEW_FINDING = "N"
UNDO = "Ctrl+Z"
CANCEL = "Esc"
