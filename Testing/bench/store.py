"""Answers on disk: figures and masks of one method on one case in two files, so that runs can stop and run together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from bench.fingerprints import REPOSITORY, source_hash
from bench.scoring import score
from bench.simulation import Answer

from imeasure_server.imaging.volume import BoolArray, Geometry

Record = dict[str, Any]
"""Figures of one answer: those of ``Scores``, and ``seconds``, ``error``, ``spoiled``, ``reach``, ``clicks``."""


class Store:
    """What a folder holds.

    Args:
        folder: made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def records(self, method: str, case: str, key: str) -> dict[str, Record] | None:
        """Prompt → figures; None when this method was not measured on this case, or not with this key."""
        stored = self._read(method, case)
        return stored["prompts"] if stored and stored["key"] == key else None

    def is_scored(self, method: str, case: str) -> bool:
        """Whether the figures were made by the present code."""
        stored = self._read(method, case)
        return stored is not None and stored["scoring"] == scoring_version()

    def is_stale(self, method: str, case: str, key: str) -> bool:
        """Whether the method was measured on the case, but not with this key."""
        stored = self._read(method, case)
        return stored is not None and stored["key"] != key

    def put(self, method: str, case: str, key: str, answers: Iterable[Answer], truth: BoolArray, on: Geometry) -> None:
        """Score answers and keep them."""
        given = list(answers)
        path = self._path(method, case)
        file = BytesIO()
        np.savez_compressed(file, **{a.prompt: np.packbits(a.mask) for a in given}, shape=np.array(truth.shape))
        write_whole(path.with_suffix(".npz"), file.getvalue())
        prompts = {answer.prompt: _record(answer, truth, on) for answer in given}
        self._write(path, key, prompts)

    def score_again(self, method: str, case: str, truth: BoolArray, on: Geometry) -> None:
        """Make the figures of kept masks anew."""
        stored = self._read(method, case)
        assert stored is not None
        masks = self.masks(method, case)
        prompts = {
            prompt: {**record, **asdict(score(masks[prompt], truth, on))}
            for prompt, record in stored["prompts"].items()
        }
        self._write(self._path(method, case), stored["key"], prompts)

    def masks(self, method: str, case: str) -> dict[str, BoolArray]:
        """Prompt → (x, y, z) bool; empty when there is nothing."""
        path = self._path(method, case).with_suffix(".npz")
        if not path.is_file():
            return {}
        with np.load(path) as file:
            shape = tuple(int(n) for n in file["shape"])
            return {
                name: np.unpackbits(file[name], count=int(np.prod(shape))).astype(bool).reshape(shape)
                for name in file.files
                if name != "shape"
            }

    def changed(self, method: str, case: str) -> float:
        """When the answers were made; 0 when there are none."""
        path = self._path(method, case)
        return path.stat().st_mtime if path.is_file() else 0.0

    def _path(self, method: str, case: str) -> Path:
        return self.folder / "answers" / method / f"{case}.json"

    def _read(self, method: str, case: str) -> dict[str, Any] | None:
        path = self._path(method, case)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def _write(self, path: Path, key: str, prompts: Mapping[str, Record]) -> None:
        content = {"key": key, "scoring": scoring_version(), "prompts": prompts}
        write_whole(path, json.dumps(content, indent=1).encode())


def scoring_version() -> str:
    """A hash that changes when the figures of the same mask may."""
    measurement = REPOSITORY / "server" / "imeasure_server" / "measurement"
    return source_hash([Path(__file__).with_name("scoring.py"), *measurement.glob("*.py")])


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _record(answer: Answer, truth: BoolArray, on: Geometry) -> Record:
    return {
        **asdict(score(answer.mask, truth, on)),
        "seconds": answer.seconds,
        "error": answer.error,
        "spoiled": answer.spoiled,
        "reach": answer.reach,
        "clicks": [[*click.position, click.positive] for click in answer.clicks],
    }
