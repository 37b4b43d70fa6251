"""A listening socket, or a sentence that says why there is none."""

from __future__ import annotations

import errno
import socket
import sys


class AddressUnavailable(Exception):
    """The address cannot be listened on; the message is a sentence."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        AddressUnavailable: the port is taken, or the host is not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise AddressUnavailable(f"{host!r} is not an address of this machine. Use --host 127.0.0.1.") from error
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY) and not some 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise AddressUnavailable(_why_not(host, port, error)) from error
    listener.set_inheritable(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """``http://HOST:PORT`` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is already taken. Choose another with --port, or stop the program that uses it."
    if error.errno == errno.EACCES:
        return f"You may not listen on port {port}. Choose one above 1023 with --port."
    return f"This machine cannot listen on {host}. Use --host 127.0.0.1."
