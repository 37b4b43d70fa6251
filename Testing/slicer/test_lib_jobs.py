"""Background jobs: what is delivered, where, and that work goes on while the event loop waits."""

from __future__ import annotations

import threading
import time

import pytest

from conftest import IS_DESKTOP
from IMeasureLib.jobs import BackgroundJob, Cancelled, ManualTimer


class Outcome:
    """Notes what a job delivers, and on which thread."""

    def __init__(self):
        self.events = []
        self.threads = set()

    def note(self, kind):
        def callback(*values):
            self.events.append((kind, *values))
            self.threads.add(threading.get_ident())

        return callback

    def job(self, work, timerFactory=ManualTimer):
        return BackgroundJob(
            work,
            self.note("result"),
            self.note("failure"),
            self.note("progress"),
            self.note("cancelled"),
            timerFactory,
        )


@pytest.fixture
def outcome():
    return Outcome()


def test_progress_and_result_come_in_order_on_the_callers_thread(outcome):
    worker = []

    def work(cancel, progress):
        worker.append(threading.get_ident())
        progress("one")
        progress("two")
        return 42

    outcome.job(work).start().wait(20)
    assert outcome.events == [("progress", "one"), ("progress", "two"), ("result", 42)]
    assert outcome.threads == {threading.get_ident()}
    assert worker[0] != threading.get_ident()


def test_a_failure_is_delivered_with_its_exception(outcome):
    error = ValueError("no")

    def work(cancel, progress):
        raise error

    job = outcome.job(work).start()
    job.wait(20)
    assert outcome.events == [("failure", error)]
    assert job.isFinished


def test_cancel_is_told_at_once_and_nothing_comes_after(outcome):
    seen = threading.Event()

    def work(cancel, progress):
        cancel.wait(20)
        progress("late")
        seen.set()
        return "late"

    job = outcome.job(work).start()
    job.cancel()
    assert outcome.events == [("cancelled",)]
    assert seen.wait(20)
    job.poll()
    job.cancel()
    assert outcome.events == [("cancelled",)]


def test_work_that_cancels_itself(outcome):
    def work(cancel, progress):
        raise Cancelled

    outcome.job(work).start().wait(20)
    assert outcome.events == [("cancelled",)]


def test_an_error_in_a_callback_does_not_repeat_the_delivery():
    calls = []

    def fail(result):
        calls.append(result)
        raise RuntimeError("in the callback")

    job = BackgroundJob(lambda cancel, progress: 1, fail).start()
    with pytest.raises(RuntimeError, match="in the callback"):
        job.wait(20)
    job.poll()
    assert calls == [1]
    assert job.isFinished


if IS_DESKTOP:

    def test_work_goes_on_while_the_event_loop_waits(outcome):
        """Slicer keeps Python's lock while Qt waits: without the job's timer the thread would stand still."""
        import qt

        from IMeasureLib.qt_timer import qtTimer

        beats = []
        heart = qt.QTimer()
        heart.setInterval(10)
        heart.connect("timeout()", lambda: beats.append(time.monotonic()))

        def work(cancel, progress):
            for step in range(200):
                time.sleep(0.001)
                progress(str(step))
            return "done"

        loop = qt.QEventLoop()
        giveUp = qt.QTimer()
        giveUp.setSingleShot(True)
        giveUp.connect("timeout()", loop.quit)
        giveUp.start(60000)
        job = outcome.job(work, qtTimer)
        job._onResult = lambda result: (outcome.note("result")(result), loop.quit())
        heart.start()
        job.start()
        (loop.exec_ if hasattr(loop, "exec_") else loop.exec)()
        heart.stop()
        assert outcome.events[-1] == ("result", "done")
        assert [text for kind, text in outcome.events[:-1]] == [str(step) for step in range(200)]
        assert outcome.threads == {threading.get_ident()}
        assert len(beats) > 3, "the event loop stood still"
