"""Who may change models: clients of the hosts that were named, with a key unless they are on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit

from fastapi import Request

from imeasure_server.api.access import bearer_token
from imeasure_server.api.resources import settings_of, store_of
from imeasure_server.errors import ApiError, Unauthorized

ANY = "*"


async def require_admin(request: Request) -> None:
    """Raises:
    ApiError: 403, the client is not one of ``--admin-hosts``, or a page of another site sent the request.
    Unauthorized: the client is on another machine and has no key.
    """
    settings = settings_of(request)
    host = request.client.host if request.client is not None else "127.0.0.1"
    if not is_admitted(host, settings.admin_hosts):
        raise ApiError(
            403, "FORBIDDEN", "Models can be changed only from the hosts that this server was given with --admin-hosts."
        )
    if _is_of_another_site(request):
        raise ApiError(403, "FORBIDDEN", "A page of another site cannot change the models of this server.")
    if settings.insecure or is_this_machine(host):
        return
    key = request.headers.get("x-api-key") or bearer_token(request)
    if not key or not await asyncio.to_thread(store_of(request).customers.lets_in, key):
        raise Unauthorized


def is_admitted(host: str, admitted: tuple[str, ...]) -> bool:
    """Whether a client's address is among these: ``*``, addresses, networks (``10.0.0.0/8``) and ``localhost``."""
    address = _address(host)
    for entry in admitted:
        if entry in (ANY, host) or (entry == "localhost" and is_this_machine(host)):
            return True
        try:
            if address is not None and address in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue  # the name of a host, which was compared
    return False


def is_this_machine(host: str) -> bool:
    """Whether a client's address is a loopback address."""
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_of_another_site(request: Request) -> bool:
    """Browsers say where a page came from; programs do not."""
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
