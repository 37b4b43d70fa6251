"""One question of an effect to a model, and how it reaches the logic of the module AIAAClient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from IMeasureLib.jobs import BackgroundJob


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked, and what shall be done with the answer.

    Attributes:
        task: an ``AIAAClientLib.task.Task``.
        apply: called with the MaskAnswer on the GUI thread; writes it down, and says so.
    """

    task: Any
    apply: Callable[[Any], None]


class Asker:
    """The logic, as ``EditQueue`` wants it."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic

    def start(
        self,
        question: Question,
        onResult: Callable[[Any], None],
        onFailure: Callable[[Exception], None],
        onProgress: Callable[[str], None],
    ) -> BackgroundJob[Any]:
        """Ask in the background. What cannot be asked raises at once."""
        job: BackgroundJob[Any] = self._logic.request(question.task, onResult, onFailure, onProgress)
        return job
