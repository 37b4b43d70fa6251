"""Which label has which value in a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imeasure_server.models.config.problems import ConfigError

MAX_LABEL = 65535


def read_labels(value: object) -> dict[str, int]:
    """Labels as configs give them: a list of names, which have the values 1, 2 …, or an object of names and values.

    A "background" is left out; where it is first in a list, the next name has the value 1 all the same.

    Raises:
        ConfigError: they are neither, or a name or value comes twice.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        value = [value]
    if isinstance(value, Mapping):
        pairs = [(str(name), _value(number, f"labels.{name}")) for name, number in value.items()]
    elif isinstance(value, Sequence):
        names = [str(name) for name in value]
        if names and names[0].lower() == "background":
            names = names[1:]
        pairs = [(name, index) for index, name in enumerate(names, 1)]
    else:
        raise ConfigError("labels", "This must be a list of names.")
    labels = {name: number for name, number in pairs if number != 0}
    if len(labels) != len([number for _, number in pairs if number != 0]) or len(set(labels.values())) != len(labels):
        raise ConfigError("labels", "A name or a value comes twice.")
    return dict(sorted(labels.items(), key=lambda pair: pair[1]))


def _value(number: object, where: str) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_LABEL:
        raise ConfigError(where, f"Values of labels are whole numbers from 0 to {MAX_LABEL}.")
    return number
