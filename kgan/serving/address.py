"""The address of a server, and the name and version of a model on it."""

import dataclasses
import urllib.parse

from kgan.errors import UserError

PORTS = {"http": 80, "https": 443, "grpc": 8500, "grpcs": 443}
"""Default ports by scheme."""


@dataclasses.dataclass(frozen=True)
class Server:
    """The address of a server.

    Attributes:
        scheme: "http" or "https" for REST, "grpc" or "grpcs" for gRPC.
        host: host name or IP address.
        port: TCP port.
        path: path before /v1, for a REST server behind a proxy.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def is_rest(self) -> bool:
        """Whether the server uses HTTP and JSON. Otherwise it uses gRPC."""
        return self.scheme in ("http", "https")

    @property
    def is_secure(self) -> bool:
        """Whether the connection uses TLS."""
        return self.scheme in ("https", "grpcs")

    @property
    def authority(self) -> str:
        """host:port, with brackets around an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_server(text: str) -> Server:
    """Parse the address of a server.

    Args:
        text: such as `http://host:8501`, `https://host/prefix`, `grpc://host:8500` or `grpcs://host`.

    Returns:
        The address.

    Raises:
        UserError: if the text is not such an address.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as error:
        raise UserError(f"--server {text}: {error}; give http://HOST:8501 or grpc://HOST:8500") from None
    is_plain = text.isprintable() and " " not in text
    if parts.scheme not in PORTS or not host or parts.query or parts.fragment or parts.username or not is_plain:
        raise UserError(f"--server {text}: no such address; give http://HOST:8501 or grpc://HOST:8500")
    if port == 0:
        raise UserError(f"--server {text}: no server has the port 0; give http://HOST:8501 or grpc://HOST:8500")
    path = parts.path.rstrip("/")
    if path and parts.scheme.startswith("grpc"):
        raise UserError(f"--server {text}: gRPC takes no path; leave out {path}")
    return Server(parts.scheme, host, port or PORTS[parts.scheme], path)


@dataclasses.dataclass(frozen=True)
class Model:
    """A model on a server.

    Attributes:
        name: name of the model.
        version: number of the version, or None.
        label: label of the version, or None. Without version and label, the newest version is used.

    Raises:
        UserError: if a value is not valid, or both version and label are given.
    """

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self):
        if not self.name or "/" in self.name or ":" in self.name:
            raise UserError(f"--name should be a model's name without / and : in it. Received: {self.name!r}")
        if self.version is not None and self.label is not None:
            raise UserError("give --version or --label, not both")
        if self.version is not None and not 0 <= self.version < 2**63:
            raise UserError(f"--version should be at least 0 and below 2**63. Received: {self.version}")
        if self.label is not None and (not self.label or "/" in self.label or ":" in self.label):
            raise UserError(f"--label should be a label without / and : in it. Received: {self.label!r}")

    def __str__(self) -> str:
        chosen = [f"version {self.version}"] * (self.version is not None) + [f"label {self.label}"] * bool(self.label)
        return " ".join([f"model {self.name}", *chosen])
