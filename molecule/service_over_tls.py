"""A service of a scenario as its users see it: over TLS, from the control node."""

import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

import requests

from lab import hosts
from tests.ingest.waiting import wait_for

__all__ = ["ServiceOverTls", "wait_for"]


class ServiceOverTls:
    """One port of one host, reached by its address and verified with the scenario's authority."""

    def __init__(self, host: str, port: int, authority: Path, auth: tuple[str, str]) -> None:
        self.host = host
        self.port = port
        self.address = hosts.address(host)
        self.authority = authority
        self.auth = auth

    def get(self, path: str, auth: tuple[str, str] | None = None, **arguments: Any) -> requests.Response:
        """Ask with `auth` instead of the right user; nothing is raised for a status."""
        return requests.get(
            f"https://{self.address}:{self.port}{path}",
            auth=auth or self.auth,
            verify=self.authority,
            timeout=10,
            **arguments,
        )

    def get_without_credentials(self, path: str) -> requests.Response:
        """Ask as nobody."""
        return requests.get(f"https://{self.address}:{self.port}{path}", verify=self.authority, timeout=10)

    def post(self, path: str, body: Any) -> requests.Response:
        """Send JSON."""
        return requests.post(
            f"https://{self.address}:{self.port}{path}", json=body, auth=self.auth, verify=self.authority, timeout=10
        )

    def answers_in_clear(self) -> bool:
        """Tell whether a request without TLS gets anything but a refusal."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status != 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def fingerprint(self) -> bytes:
        """Return the certificate on the wire, verified by name."""
        context = ssl.create_default_context(cafile=self.authority)
        with (
            socket.create_connection((self.address, self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=self.host) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""
