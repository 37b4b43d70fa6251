"""Which models answer; changes whenever the weights or how they are used change what is measured."""

from __future__ import annotations

MODEL_VERSION = "3.3.0-ensemble"
