"""One table: every method, the same cases, the same simulated clicks.

PYTHONPATH=Testing:server:IMeasure .venv/bin/python -m bench.comparison --output bench-output/accuracy

Answers are kept by method and case: a run that is stopped, or asked for a part, goes on there, and several may run at a
time. What is measured again: a method whose code or weights have changed, everything when the clicks' rules have.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from bench.accuracy_report import page, summary
from bench.cases import SETS, Case, Source, some, source_of, sources
from bench.fingerprints import REPOSITORY, source_hash
from bench.method_table import METHODS
from bench.methods import Method, Unavailable
from bench.processes import WorkerDied, spread
from bench.simulation import PROMPTS, Answer, answers
from bench.store import Store, write_whole
from bench.summary import Results

RULES = (
    "Testing/bench/simulation.py",
    "Testing/bench/module_client.py",
    "Testing/bench/methods.py",
    "Testing/phantoms/clicks.py",
    "IMeasure/IMeasureLib/crop_region.py",
)
"""Files that say what is asked."""


@dataclass(frozen=True)
class Task:
    """One method on one case.

    Attributes:
        method: key of ``METHODS``.
        case: ``set/case``.
        key: what its answers depend on; see ``key_of``.
        output: folder of the store.
        data: folder of the real images.
    """

    method: str
    case: str
    key: str
    output: Path
    data: Path


def compare(
    output: Path,
    data: Path,
    methods: Iterable[str] = tuple(METHODS),
    sets: Iterable[str] = tuple(SETS),
    limit: int | None = None,
    processes: int = 0,
    retry: bool = False,
) -> Results:
    """Measure what is missing, and write ``results.json``, ``summary.json`` and ``accuracy.md``.

    Args:
        output: folder, made when missing.
        data: folder of the real images.
        methods: keys of ``METHODS``.
        sets: keys of ``SETS``.
        limit: cases of each set, or None for all.
        processes: cases measured at a time; 0: in this process.
        retry: whether methods that failed are asked again.

    Returns:
        The figures of the methods and cases that were asked for. The files hold all that the folder has.
    """
    methods = list(methods)
    chosen = [source for kind in sets for source in some(sources(kind, data), limit)]
    wanted = [
        Task(method, source.name, key_of(method, source), output, data) for source in chosen for method in methods
    ]
    store = Store(output)
    missing = [task for task in wanted if not _is_done(store, task, retry)]
    absent: dict[str, None] = {}
    try:
        for number, (task, line) in enumerate(spread(measure, missing, processes), start=1):
            if isinstance(line, WorkerDied):
                line = _record_death(task)
            if line.startswith("not measured"):
                absent[f"{task.method} was {line}"] = None
            print(f"{number} of {len(missing)}: {task.method}: {task.case}: {line}", flush=True)
    finally:
        write_report(output, data, absent)
    found = _read(store, chosen, methods)
    return {method: cases for method, cases in found.items() if cases}


def write_report(output: Path, data: Path, remarks: Iterable[str] = ()) -> str:
    """Write what a folder holds as ``results.json``, ``summary.json`` and ``accuracy.md``; returns the last.

    Answers of other code, weights, rules or images than the present ones are left out, and it is said that they are.
    """
    store = Store(output)
    every = [source for kind in SETS for source in sources(kind, data)]
    results = {method: cases for method, cases in _read(store, every, METHODS).items() if cases}
    stale = {
        method: sum(store.is_stale(method, source.name, key_of(method, source)) for source in every)
        for method in METHODS
    }
    remarks = [
        *remarks,
        *(f"{m}: {n} cases were measured with another version and are left out." for m, n in stale.items() if n),
    ]
    text = page(results, remarks)
    write_whole(output / "results.json", json.dumps(results, indent=1, ensure_ascii=False).encode())
    write_whole(output / "summary.json", json.dumps(summary(results), indent=1, ensure_ascii=False).encode())
    write_whole(output / "accuracy.md", text.encode())
    return text


def key_of(method: str, source: Source) -> str:
    """A hash of what the method's answers on the case depend on: its code and weights, the rules, the images."""
    parts = (_method_version(method), _rules_version(), source.version)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def measure(task: Task) -> str:
    """Ask one method about one case, keep the answers, and say in a line how good they are."""
    store = Store(task.output)
    if key_of(task.method, _source(task.case, task.data)) != task.key:
        return "not measured: its code has changed since this run began, begin again."
    case = _case(task.case, task.data)
    if store.records(task.method, task.case, task.key) is not None and not store.is_scored(task.method, task.case):
        store.score_again(task.method, task.case, case.truth, case.volume.geometry)
    else:
        try:
            given = answers(_method(task.method), case, METHODS[task.method].refines)
        except Unavailable as reason:
            return f"not measured: {reason}"
        store.put(task.method, task.case, task.key, given, case.truth, case.volume.geometry)
    return _brief(store, task)


def _is_done(store: Store, task: Task, retry: bool) -> bool:
    records = store.records(task.method, task.case, task.key)
    if records is None or not store.is_scored(task.method, task.case):
        return False
    return not (retry and any(record["error"] for record in records.values()))


def _record_death(task: Task) -> str:
    """Keep that a method ended its process, as an empty mask for every prompt."""
    case = _case(task.case, task.data)
    nothing = np.zeros(case.truth.shape, dtype=bool)
    given = [Answer(prompt, nothing, error="The process died.") for prompt in PROMPTS]
    store = Store(task.output)
    store.put(task.method, task.case, task.key, given, case.truth, case.volume.geometry)
    return _brief(store, task)


def _brief(store: Store, task: Task) -> str:
    records = store.records(task.method, task.case, task.key) or {}
    return ", ".join(f"{prompt} {r['error'] or format(r['dice'], '.2f')}" for prompt, r in records.items())


def _read(store: Store, cases: Iterable[Source], methods: Iterable[str]) -> Results:
    return {
        method: {
            source.name: records
            for source in cases
            if (records := store.records(method, source.name, key_of(method, source))) is not None
        }
        for method in methods
    }


@cache
def _method_version(name: str) -> str:
    return METHODS[name].version()


@cache
def _rules_version() -> str:
    return source_hash(REPOSITORY / name for name in RULES)


@cache
def _method(name: str) -> Method:
    return METHODS[name].make()


@lru_cache(maxsize=1)
def _source(name: str, data: Path) -> Source:
    return source_of(name, data)


@lru_cache(maxsize=1)
def _case(name: str, data: Path) -> Case:
    return _source(name, data).load()


def options_of(description: str) -> argparse.ArgumentParser:
    """The options that say which part of the comparison is meant."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--output", type=Path, default=Path("bench-output/accuracy"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IMEASURE_DATA", "../shared/data")))
    parser.add_argument("--method", action="append", choices=list(METHODS), dest="methods")
    parser.add_argument("--set", action="append", choices=list(SETS), dest="sets")
    parser.add_argument("--limit", type=int, help="so many cases of each set, spread over it")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="0: in this process")
    return parser


def main() -> None:
    parser = options_of("Compare every method on the same cases and clicks.")
    parser.add_argument("--without", action="append", choices=list(METHODS), default=[], help="a method to leave out")
    parser.add_argument("--retry", action="store_true", help="ask methods again where they failed")
    parser.add_argument("--no-sheets", action="store_true", help="no contact sheets")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    methods = [name for name in options.methods or METHODS if name not in options.without]
    sets = options.sets or list(SETS)
    compare(options.output, options.data, methods, sets, options.limit, options.processes, options.retry)
    if not options.no_sheets:
        from bench.contact_sheets import draw_sheets

        draw_sheets(options.output, options.data, sets, options.limit, options.processes)
    print(f"In {options.output}/: accuracy.md, summary.json, results.json, and sheets/ to look at.")


if __name__ == "__main__":
    main()
