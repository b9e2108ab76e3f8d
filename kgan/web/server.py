"""Serves the page from memory. Only the files of the page can be requested, regardless of the path."""

import hashlib
import http
import http.server
import pathlib
import sys
import urllib.parse

from kgan.errors import UserError
from kgan.web.site import Site

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
"""Content types that browsers require. All other files are sent as application/octet-stream."""

HEADERS = {
    # Threads need the first two, because browsers share memory only with them.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    # The browser refuses requests to any other host.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # browsers may store files, but ask each time whether the ETag has changed
}


class Server(http.server.ThreadingHTTPServer):
    """An HTTP server of the page. Close it with `server_close()`.

    Args:
        site: the files of the page.
        host: address of the server.
        port: TCP port; 0 for any free port.

    Raises:
        UserError: if the address cannot be used.
    """

    daemon_threads = True

    def __init__(self, site: Site, host: str, port: int):
        self.site = site
        self.tags = {name: f'"{hashlib.sha256(content).hexdigest()[:20]}"' for name, content in site.items()}
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"{host}:{port}: cannot be served ({reason}); name another --port or --host") from None

    def handle_error(self, request, client_address) -> None:
        """Print no error if a browser closes the connection or stops sending, which is normal."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """The URL of the page."""
        host, port = str(self.server_address[0]), self.server_port
        return f"http://{host}:{port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "kgan"
    sys_version = ""
    timeout = 60  # seconds after which a silent connection is closed

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).removeprefix("/") or "index.html"
        content = self.server.site.get(name)
        if content is None:
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return
        known = self.headers.get("If-None-Match") == self.server.tags[name]
        self.send_response(http.HTTPStatus.NOT_MODIFIED if known else http.HTTPStatus.OK)
        self.send_header("ETag", self.server.tags[name])
        if not known:
            self.send_header("Content-Type", TYPES.get(pathlib.PurePosixPath(name).suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body and not known:
            self.wfile.write(content)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_) -> None:
        """Print nothing for a request."""
