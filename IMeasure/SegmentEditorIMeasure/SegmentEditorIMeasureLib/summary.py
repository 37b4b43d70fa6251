"""What the effect says it did, in one line."""

from __future__ import annotations

from slicer.i18n import tr as _

from IMeasureLib.findings import Finding
from IMeasureLib.prompts import PenStroke, PromptHistory


def promptsText(history: PromptHistory) -> str:
    """ "3 clicks, 1 stroke"; a pair of ends counts as two clicks."""
    strokes = sum(isinstance(step, PenStroke) for step in history.steps)
    clicks = sum(len(step.points) for step in history.steps if not isinstance(step, PenStroke))
    parts = []
    if clicks:
        parts.append(_("1 click") if clicks == 1 else _("{count} clicks").format(count=clicks))
    if strokes:
        parts.append(_("1 stroke") if strokes == 1 else _("{count} strokes").format(count=strokes))
    return ", ".join(parts)


def findingText(finding: Finding, seconds: float | None = None) -> str:
    """ "2 clicks, 0.4 s: long axis 54.0 mm, short axis 31.2 mm, 23.4 mL"."""
    head = promptsText(finding.history)
    if seconds is not None:
        head = _("{prompts}, {seconds:.1f} s").format(prompts=head, seconds=seconds)
    m = finding.measurements
    if m is None:
        return _("{head}: not measured: masking, another effect or another grid changed the mask.").format(head=head)
    parts = []
    if m.long is not None and m.short is not None:
        parts.append(
            _("long axis {long:.1f} mm, short axis {short:.1f} mm").format(long=m.long.length, short=m.short.length)
        )
    parts.append(_("{volume:.1f} mL").format(volume=m.volumeMM3 / 1000.0))
    return f"{head}: {', '.join(parts)}"
