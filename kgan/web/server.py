"""Serves the page from memory: what is not in the table of files cannot be reached, whatever the path."""

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
"""Types that browsers insist on; anything else is sent as plain bytes."""

HEADERS = {
    # Threads need the first two: without them no memory is shared.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    # The browser itself refuses requests to any other host.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # may be kept, but asked about each time: see ETag
}


class Server(http.server.ThreadingHTTPServer):
    """A page on an address; close it with server_close()."""

    daemon_threads = True

    def __init__(self, site: Site, host: str, port: int):
        """Port 0: any free one. UserError when the address cannot be had."""
        self.site = site
        self.tags = {name: f'"{hashlib.sha256(content).hexdigest()[:20]}"' for name, content in site.items()}
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"{host}:{port}: cannot be served ({reason}); name another --port or --host") from None

    def handle_error(self, request, client_address) -> None:
        """Nothing where a browser hung up or fell silent, as they do."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """The page's URL."""
        host, port = self.server_address[:2]
        return f"http://{host}:{port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "kgan"
    sys_version = ""
    timeout = 60  # seconds that a silent connection is kept

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
        """Nothing: a page that loads is no news."""
