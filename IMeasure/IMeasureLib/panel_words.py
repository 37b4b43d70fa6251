"""What the panel says about tools and findings."""

from __future__ import annotations

from slicer.i18n import tr as _

from .findings import Finding, FindingRow
from .hotkeys import NEW_FINDING

MM3_PER_CM3 = 1000.0


def toolHint(tool: str, isBegun: bool, selectedName: str | None) -> str:
    """What to do next with a tool.

    Args:
        tool: its name.
        isBegun: whether its step is half done.
        selectedName: name of the selected finding, None when none is.
    """
    if tool == "TwoClick":
        if isBegun:
            return _("Click the other end of the longest diameter. Esc: start again.")
        return _("New finding: click one end of its longest diameter.")
    if selectedName is None:
        if tool == "TrueClick":
            return _("New finding: click inside it.")
        return _("New finding: draw around it on an axial slice, button held.")
    if tool == "TrueClick":
        text = _("Refining “{name}”: click to add, right or Ctrl+click to exclude. {key}: new finding.")
    else:
        text = _("Refining “{name}”: draw its outline on an axial slice. {key}: new finding.")
    return text.format(name=selectedName, key=NEW_FINDING)


def summary(finding: Finding, seconds: float) -> str:
    """One line about a finding that was just measured: long × short axis, volume, and how long it took."""
    row = FindingRow.of(finding)
    parts = []
    if row.longAxis is not None and row.shortAxis is not None:
        axes = _("{long:.1f} × {short:.1f} mm on slice {slice}")
        parts.append(axes.format(long=row.longAxis, short=row.shortAxis, slice=row.slice))
    if row.volume is not None:
        parts.append(_("{volume:.2f} cm³").format(volume=row.volume / MM3_PER_CM3))
    parts.append(_("{seconds:.1f} s").format(seconds=seconds))
    return f"“{finding.name}”: " + ", ".join(parts)
