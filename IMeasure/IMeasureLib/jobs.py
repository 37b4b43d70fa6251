"""Work off the GUI thread, its outcome back on it.

Qt's signals cannot carry Python objects between threads in PythonQt, and MRML may only be touched on the GUI thread. So
the work runs on a Python thread and puts what it has to say into a queue; a timer on the GUI thread, given by the
caller, empties it. While Qt's event loop waits in C++, Slicer's main thread keeps Python's interpreter lock; the timer
therefore also lets go of it for a moment, which is when the thread gets to run (see ``YIELD_SECONDS``).
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, Generic, Protocol, TypeVar

Result = TypeVar("Result")
Progress = Callable[[str], None]
Work = Callable[[threading.Event, Progress], Result]

POLL_MILLISECONDS = 20
YIELD_SECONDS = 0.005
"""How long each poll sleeps so that other Python threads run; short enough not to be felt."""


class Cancelled(Exception):
    """Raised by work that saw its cancel event; nothing is delivered then but ``onCancelled``."""


class Timer(Protocol):
    """A repeating timer of the GUI thread."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


TimerFactory = Callable[[int, Callable[[], None]], Timer]
"""(milliseconds, callback) → a stopped timer that calls back on the GUI thread."""


class ManualTimer:
    """A timer of a script or a test: whoever waits calls the callback (``BackgroundJob.wait``)."""

    def __init__(self, milliseconds: int, callback: Callable[[], None]) -> None:
        self.milliseconds = milliseconds
        self.callback = callback
        self.isActive = False

    def start(self) -> None:
        self.isActive = True

    def stop(self) -> None:
        self.isActive = False


class BackgroundJob(Generic[Result]):
    """One piece of work. One of ``onResult``, ``onFailure`` and ``onCancelled`` is called, once, on the GUI thread."""

    def __init__(
        self,
        work: Work[Result],
        onResult: Callable[[Result], None] | None = None,
        onFailure: Callable[[Exception], None] | None = None,
        onProgress: Progress | None = None,
        onCancelled: Callable[[], None] | None = None,
        timerFactory: TimerFactory = ManualTimer,
    ) -> None:
        """Prepare; ``start`` begins.

        Args:
            work: called on another thread with the cancel event and a function that takes progress lines. It must touch
                neither Qt nor MRML.
            timerFactory: makes a timer of the GUI thread; ``qt_timer.qtTimer`` in Slicer.
        """
        self._work = work
        self._onResult = onResult
        self._onFailure = onFailure
        self._onProgress = onProgress
        self._onCancelled = onCancelled
        self._cancel = threading.Event()
        self._messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._timer = timerFactory(POLL_MILLISECONDS, self.poll)
        self._thread = threading.Thread(target=self._run, name="IMeasure job", daemon=True)
        self._finished = False
        self.startedAt = 0.0

    @property
    def isFinished(self) -> bool:
        """Whether the outcome was delivered."""
        return self._finished

    @property
    def isCancelled(self) -> bool:
        return self._cancel.is_set()

    @property
    def elapsed(self) -> float:
        """Seconds since ``start``."""
        return time.monotonic() - self.startedAt if self.startedAt else 0.0

    def start(self) -> BackgroundJob[Result]:
        self.startedAt = time.monotonic()
        self._thread.start()
        self._timer.start()
        return self

    def cancel(self) -> None:
        """Stop waiting at once. The work sees its event and ends by itself; whatever it still says is dropped."""
        if self._finished:
            return
        self._cancel.set()
        self._finish()
        if self._onCancelled is not None:
            self._onCancelled()

    def poll(self) -> None:
        """Deliver what came in; called by the timer on the GUI thread."""
        time.sleep(YIELD_SECONDS)
        while not self._finished:
            try:
                kind, value = self._messages.get_nowait()
            except queue.Empty:
                return
            self._deliver(kind, value)

    def wait(self, timeout: float = 600.0) -> None:
        """Block until the outcome was delivered: for scripts and tests. TimeoutError when it was not in time (s)."""
        deadline = time.monotonic() + timeout
        while not self._finished:
            if time.monotonic() > deadline:
                raise TimeoutError("The background job did not finish in time.")
            self.poll()

    def _run(self) -> None:
        try:
            self._messages.put(("result", self._work(self._cancel, self._say)))
        except Cancelled:
            self._messages.put(("cancelled", None))
        except Exception as error:  # noqa: BLE001 - it is delivered to whoever asked for the work
            self._messages.put(("failure", error))

    def _say(self, line: str) -> None:
        self._messages.put(("progress", line))

    def _finish(self) -> None:
        self._finished = True
        self._timer.stop()

    def _deliver(self, kind: str, value: Any) -> None:
        if kind == "progress":
            if self._onProgress is not None:
                self._onProgress(value)
            return
        self._finish()
        if kind == "result" and self._onResult is not None:
            self._onResult(value)
        elif kind == "failure" and self._onFailure is not None:
            self._onFailure(value)
        elif kind == "cancelled" and self._onCancelled is not None:
            self._onCancelled()
