"""What is wrong with a config, as a sentence that names the entry."""

from __future__ import annotations


class ConfigError(ValueError):
    """A config cannot be used, or asks for more than a config may; the message is a sentence that names the entry."""

    def __init__(self, where: str, sentence: str) -> None:
        super().__init__(f"{where}: {sentence}" if where else sentence)
