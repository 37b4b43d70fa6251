"""What the effects say about prompts, in few words."""

from __future__ import annotations

from collections.abc import Iterable

from slicer.i18n import tr as _

from .prompts import BOX, LASSO, LINE, POINT, Prompt


def promptsText(prompts: Iterable[Prompt]) -> str:
    """ "3 points, 1 box"."""
    prompts = tuple(prompts)
    words = {
        POINT: (_("1 point"), _("{count} points")),
        BOX: (_("1 box"), _("{count} boxes")),
        LASSO: (_("1 lasso"), _("{count} lassos")),
        LINE: (_("1 scribble"), _("{count} scribbles")),
    }
    parts = []
    for kind, (one, many) in words.items():
        count = sum(prompt.kind == kind for prompt in prompts)
        if count:
            parts.append(one if count == 1 else many.format(count=count))
    return ", ".join(parts)
