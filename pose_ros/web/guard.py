# SPDX-License-Identifier: Apache-2.0
"""Guard: who may see the page, and who may touch anything.

A browser on this machine shows pages of strangers, too, so listening on loopback is not enough. The name in ``Host``
keeps out a stranger's page whose name was made to point here (DNS rebinding), ``Origin`` keeps out its scripts, and a
token that only our own page knows is demanded of everything that is no plain page. Where others than this machine are
listened to, the page itself demands the token in its address.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Collection, Mapping

from pose_ros.errors import ConfigError

_TOKEN_LETTERS = 16


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own, which nobody else reaches."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


class Guard:
    """Answers with a reason to refuse; empty where there is none."""

    def __init__(self, host: str, token: str = "", names: Collection[str] = ()) -> None:
        """Take a token or make one.

        Args:
            host: Address that is listened on.
            token: At least 16 letters; empty makes one.
            names: Names of this machine, beside its own, that browsers may call it by.

        Raises:
            ConfigError: The token is short.
        """
        if token and (len(token) < _TOKEN_LETTERS or not token.isascii() or not token.isalnum()):
            raise ConfigError("token", f"expected at least {_TOKEN_LETTERS} ASCII letters and digits, got {len(token)}"
                                       f" characters; 'python3 -c \"import secrets; print(secrets.token_hex())\"'")
        self.local, self.token = is_loopback(host), token or secrets.token_hex(16)
        own = socket.gethostname().lower()
        self._names = {"localhost", *(name.lower() for name in names)}
        self._names |= set() if self.local else {own, f"{own}.local"}

    def page(self, host: str, token: str) -> str:
        """Return why the page is refused."""
        return self._stranger(host) or ("" if self.local else self._wrong(token))

    def file(self, host: str) -> str:
        """Return why a file is refused that holds nothing of the robot."""
        return self._stranger(host)

    def action(self, headers: Mapping[str, str], token: str) -> str:
        """Return why everything else is refused: what is seen, and what is done."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):  # the latter by a proxy
            return f"expected a request from http://{host}, got one from a page of {origin!r}"
        return self._stranger(host) or self._wrong(token)

    def _stranger(self, host: str) -> str:
        name = _name(host)
        address = _address(name)
        # Nobody can make the name of an address point elsewhere.
        if name in self._names or (address is not None and (address.is_loopback or not self.local)):
            return ""
        return f"expected Host to name this machine, got {host!r}; parameter allowed_hosts takes more names"

    def _wrong(self, token: str) -> str:
        if hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return ""
        return "expected the token of this page in its address, as the log of the node shows it: '/?token=...'"


def _name(host: str) -> str:
    """Return the name in ``name:port``."""
    return (host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]).lower()


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
