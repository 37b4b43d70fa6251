"""``/auth``: where the server asks for keys, a key is the password that MONAI Label's clients ask people for."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request

from imeasure_server.api.access import require_key
from imeasure_server.api.monailabel.infer_request import form_fields
from imeasure_server.api.resources import settings_of, store_of
from imeasure_server.api.upload_form import receive_form
from imeasure_server.errors import ApiError

router = APIRouter(tags=["MONAI Label"])
"""Asks for no key: this is how clients learn that they need one."""


@router.get("/auth/", summary="Whether the server asks for keys")
@router.get("/auth", include_in_schema=False)
async def auth(request: Request) -> dict[str, Any]:
    """In the form of MONAI Label."""
    return {"enabled": settings_of(request).asks_for_key, "client_id": "imeasure", "realm": ""}


@router.post("/auth/token", summary="Log in with an API key as the password")
@router.post("/auth/token/", include_in_schema=False)
async def token(request: Request) -> dict[str, Any]:
    """The key itself is the token, to be sent as ``Authorization: Bearer KEY``."""
    if not settings_of(request).asks_for_key:
        return {"access_token": None, "token_type": None}
    async with receive_form(request) as form:
        password = form_fields(request, form).get("password", "")
    if not password or not await asyncio.to_thread(store_of(request).customers.lets_in, password):
        raise ApiError(401, "UNAUTHORIZED", "The password is none of this server's API keys.")
    return {"access_token": password, "token_type": "bearer"}


@router.get("/auth/token/valid", summary="Whether the token is one", dependencies=[Depends(require_key)])
@router.get("/auth/token/valid/", include_in_schema=False, dependencies=[Depends(require_key)])
async def valid(request: Request) -> dict[str, Any]:
    """401 when it is not."""
    return {"username": "", "email": "", "name": "", "roles": []}
