"""The dependencies that ask for a key."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from imeasure_server.api.radanalyzer.errors import InvalidApiKey
from imeasure_server.api.resources import settings_of, store_of
from imeasure_server.authentication import key_hash
from imeasure_server.errors import Unauthorized
from imeasure_server.store.keys import KeyInfo

_header = APIKeyHeader(name="x-api-key", auto_error=False, description="Needed when the server asks for keys")


async def require_key(request: Request, key: Annotated[str | None, Security(_header)]) -> None:
    """The key in ``x-api-key``, or as a bearer token, which is what MONAI Label's clients can send.

    Raises:
        Unauthorized: the server asks for a key and this is none of its keys.
    """
    if not settings_of(request).asks_for_key:
        return
    key = key or bearer_token(request)
    if not key or not await asyncio.to_thread(store_of(request).customers.lets_in, key):
        raise Unauthorized


def bearer_token(request: Request) -> str | None:
    """What follows ``Authorization: Bearer``, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def session_owner(request: Request) -> bytes | None:
    """Whose images the request may use: SHA-256 of its key, or None where the server asks for none."""
    key = request.headers.get("x-api-key") or bearer_token(request)
    return key_hash(key) if key and settings_of(request).asks_for_key else None


async def require_customer(request: Request, key: Annotated[str | None, Security(_header)]) -> KeyInfo:
    """Whose request this is. Needs a key wherever the server listens.

    Raises:
        InvalidApiKey: there is none, or it is nobody's.
    """
    customer = await asyncio.to_thread(store_of(request).customers.identify, key) if key else None
    if customer is None:
        raise InvalidApiKey
    return customer
