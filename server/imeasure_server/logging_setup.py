"""Logs: one JSON object a line, on standard error.

No line holds pixel data, coordinates, keys or names of patients: requests are logged by route, status and timings, and
of an exception only its type and the places it came through, since messages may quote what was sent.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

FIELDS = "fields"


class JsonFormatter(logging.Formatter):
    """A record, and the mapping in its ``fields``, as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, FIELDS, {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["trace"] = places(record.exc_info[0], record.exc_info[2])
        return json.dumps(line, default=str)


def places(kind: type[BaseException], trace: TracebackType | None) -> str:
    """Where an exception came through, and its type, without its message."""
    return "".join(traceback.format_list(traceback.extract_tb(trace))) + kind.__qualname__


def set_up_logging(level: str) -> None:
    """Log from ``level`` (a name, any case) up to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "asyncio", "python_multipart"):
        logging.getLogger(name).setLevel(logging.WARNING)
