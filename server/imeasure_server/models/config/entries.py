"""Named things with arguments: ``{"name": "monai.transforms.Spacingd", "args": {...}}``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imeasure_server.models.config.problems import ConfigError

MAX_DEPTH = 12


@dataclass(frozen=True)
class Entry:
    """One transform, network or inferer that a config names.

    Attributes:
        name: of the class, without its package.
        args: arguments, checked to be plain values.
        where: in the config, for error messages.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""


def read_entries(value: object, where: str) -> list[tuple[str, Mapping[str, Any], str]]:
    """The path, arguments and place of every entry in a list that is not disabled.

    Raises:
        ConfigError: it is no such list.
    """
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigError(where, "This must be a list of transforms.")
    read = (read_entry(item, f"{where}[{index}]") for index, item in enumerate(value))
    return [entry for entry in read if entry is not None]


def read_entry(value: object, where: str) -> tuple[str, Mapping[str, Any], str] | None:
    """One entry, or None when it is disabled. ``path`` may stand in place of ``name``, as in Clara Train.

    Raises:
        ConfigError: it is no entry.
    """
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        raise ConfigError(where, 'This must be an object with "name" and "args".')
    if value.get("disabled") in (True, "true"):
        return None
    path = value.get("path") or value.get("name")
    if not isinstance(path, str) or not path:
        raise ConfigError(where, 'It has no "name".')
    args = value.get("args")
    if args is None:
        args = {}
    if not isinstance(args, Mapping):
        raise ConfigError(f"{where} {path}", '"args" must be an object.')
    return path, {str(key): plain(item, f"{where} {path}, {key}") for key, item in args.items()}, where


def plain(value: object, where: str, depth: int = 0) -> Any:
    """A value of JSON without anything that could be evaluated; Clara's ``"true"`` and ``"false"`` become booleans.

    Raises:
        ConfigError: it is an expression, a reference, or nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise ConfigError(where, "This is nested too deeply.")
    if isinstance(value, str):
        if value[:1] in ("$", "@", "%"):
            raise ConfigError(where, "Expressions and references are not evaluated; write the value itself.")
        return {"true": True, "false": False}.get(value.lower(), value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(where, "Numbers must be finite.")
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, where, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item, where, depth + 1) for item in value]
    raise ConfigError(where, "Only numbers, texts, lists and objects are understood.")
