"""References and expressions of a bundle's config, resolved one at a time and only when they are needed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from imeasure_server.models.config.expressions import evaluate
from imeasure_server.models.config.problems import ConfigError

MAX_DEPTH = 40
_REFERENCE = re.compile(r"@(?:::)?([A-Za-z_]\w*(?:(?:::|#)\w+)*)")
_MACRO = re.compile(r"%(?:::)?([A-Za-z_]\w*(?:(?:::|#)\w+)*)")
COMPOSES = frozenset({"Compose", "monai.transforms.Compose", "Sequential"})


class BundleValues:
    """Values of one config file, by their place in it (``a::b::0``)."""

    def __init__(self, config: Mapping[str, Any], name: str) -> None:
        self._config = config
        self._name = name
        self._resolving: list[str] = []

    def transforms(self, *names: str) -> list[dict[str, Any]]:
        """The transforms of the first of these keys that there is, as entries with ``name`` and ``args``.

        Raises:
            ConfigError: it is no composition of transforms, or asks for more than it may.
        """
        name = next((name for name in names if name in self._config), None)
        if name is None:
            return []
        raw = self._followed(self._config[name], name)
        if isinstance(raw, Mapping) and str(raw.get("_target_", "")) in COMPOSES:
            raw = self._followed(raw.get("transforms"), f"{name}::transforms")
        if isinstance(raw, Mapping) and "_target_" in raw:
            raw = [raw]
        if not isinstance(raw, Sequence) or isinstance(raw, str):
            raise ConfigError(f"{self._name} {name}", "This must be a Compose of transforms.")
        found = []
        for index, item in enumerate(raw):
            place = f"{name}::transforms::{index}"
            entry = self._entry(self._followed(item, place), place)
            if entry is not None:
                found.append(entry)
        return found

    def entry(self, *names: str) -> dict[str, Any] | None:
        """The component of the first of these keys that there is, as an entry.

        Raises:
            ConfigError: it is none.
        """
        for name in names:
            if name in self._config:
                value = self._followed(self._config[name], name)
                if not isinstance(value, Mapping) or "_target_" not in value:
                    raise ConfigError(f"{self._name} {name}", 'This must be a component with "_target_".')
                return self._entry(value, name)
        return None

    def value(self, raw: Any, where: str) -> Any:
        """A raw value with everything in it resolved; components stay as they are."""
        if len(self._resolving) > MAX_DEPTH:
            raise ConfigError(f"{self._name} {where}", "References lead in a circle.")
        if isinstance(raw, str):
            return self._text(raw, where)
        if isinstance(raw, Mapping):
            if "_target_" in raw:
                return raw
            return {str(key): self.value(item, f"{where}::{key}") for key, item in raw.items()}
        if isinstance(raw, Sequence):
            return [self.value(item, f"{where}::{index}") for index, item in enumerate(raw)]
        return raw

    def _text(self, raw: str, where: str) -> Any:
        place = f"{self._name} {where}"
        if raw.startswith("$"):
            return evaluate(raw[1:], self._reference, place)
        if (match := _REFERENCE.fullmatch(raw)) is not None:
            return self._reference(match.group(1))
        if raw.startswith("%"):
            macro = _MACRO.fullmatch(raw)
            if macro is None:
                raise ConfigError(place, "Macros that read other files are not followed.")
            return self.value(self._raw(macro.group(1)), macro.group(1))
        return raw

    def _reference(self, path: str) -> Any:
        path = path.replace("#", "::")
        if path in self._resolving:
            raise ConfigError(f"{self._name} {path}", "References lead in a circle.")
        self._resolving.append(path)
        try:
            return self.value(self._raw(path), path)
        finally:
            self._resolving.pop()

    def _raw(self, path: str) -> Any:
        value: Any = self._config
        for part in path.replace("#", "::").split("::"):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif (
                isinstance(value, Sequence)
                and not isinstance(value, str)
                and part.isdecimal()
                and int(part) < len(value)
            ):
                value = value[int(part)]
            else:
                raise ConfigError(self._name, f"There is no @{path} in it.")
        return value

    def _followed(self, raw: Any, where: str) -> Any:
        """What a reference or expression leads to; components and lists of them are not looked into."""
        return self.value(raw, where) if isinstance(raw, str) else raw

    def _entry(self, value: Any, where: str) -> dict[str, Any] | None:
        if not isinstance(value, Mapping) or not isinstance(value.get("_target_"), str):
            raise ConfigError(f"{self._name} {where}", 'This must be a component with "_target_".')
        if "_disabled_" in value and self.value(value["_disabled_"], f"{where}::_disabled_") in (True, "true", "True"):
            return None
        target = str(value["_target_"])
        bare = target.rpartition(".")[2]
        if bare in _NOT_LOOKED_INTO:
            return {"name": target, "args": {}}
        kept = {key: item for key, item in value.items() if not key.startswith("_")}
        args = {key: self.value(item, f"{where}::{key}") for key, item in kept.items() if key not in _NOT_OURS}
        for key, item in args.items():
            if _has_component(item):
                raise ConfigError(f"{self._name} {where}::{key}", "Components as arguments are not understood.")
        return {"name": target, "args": _listed(args)}


_NOT_LOOKED_INTO = frozenset({"Invertd", "InvertD", "InvertDict", "SaveImaged", "SaveImageD", "SaveImageDict"})
"""Their arguments are other transforms and folders; what they do is done here without them."""
_NOT_OURS = frozenset({"device", "sw_device", "meta_keys", "meta_key_postfix", "progress", "cache_roi_weight_map"})
"""Arguments that say where to compute: the worker knows."""


def _has_component(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(_has_component(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_has_component(item) for item in value)


def _listed(value: Any) -> Any:
    """Tuples as lists: what is left is JSON."""
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, (list, tuple)) else value
