"""The dependency that asks for a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from imeasure_server.api.resources import settings_of
from imeasure_server.authentication import is_known_key
from imeasure_server.errors import Unauthorized

_header = APIKeyHeader(name="x-api-key", auto_error=False, description="Needed when the server asks for keys")


async def require_key(request: Request, key: Annotated[str | None, Security(_header)]) -> None:
    """Raises:
    Unauthorized: the server asks for a key and this is none of its keys.
    """
    settings = settings_of(request)
    if settings.asks_for_key and not is_known_key(key, settings.api_keys):
        raise Unauthorized
