"""A stand-in for the Hugging Face hub: so much of its interface as uploads and downloads of kgan use.

Repositories are commits from paths to blobs, and blobs are files in a folder. Files of more than `LFS_FROM` bytes, and
those with a zero byte, go the way of large files (Git LFS). The real hub was not at hand: what this server answers was
read from huggingface_hub 2.4, its client.
"""

import base64
import hashlib
import http.server
import json
import pathlib
import re
import threading
import urllib.parse

LFS_FROM = 100_000
TOKEN = "hf_secretsecretsecret"


class Hub(http.server.ThreadingHTTPServer):
    """The stand-in, for a `with` block.

    Attributes:
        repos: (kind, "owner/name") -> {"private", "sdk", "refs": branch -> commit, "commits": commit -> path -> oid}.
        requests: method and path of each request.
        resumed: the first byte of each download that went on.
        breaks_after: so many further bodies of blobs are received or sent whole; then connections break, until None.
    """

    daemon_threads = True

    def __init__(self, folder: pathlib.Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.repos, self.requests, self.breaks_after = folder, {}, [], None
        self.resumed = []
        self.status = None  # the answer to everything, for a broken hub
        self.lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        """Broken connections are meant to be."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def blob(self, oid: str) -> pathlib.Path:
        return self.folder / oid

    def files(self, repo: str, kind: str = "model", revision: str = "main") -> dict[str, bytes]:
        """Contents of the files of a repository by path."""
        there = self.repos[kind, repo]
        tree = there["commits"][there["refs"].get(revision, revision)]
        return {path: self.blob(oid).read_bytes() for path, oid in tree.items()}

    def put(self, repo: str, files: dict[str, bytes], kind: str = "model", private: bool = False) -> str:
        """Add files to the branch main as somebody else would. Returns the commit."""
        self.create(kind, repo, private)
        oids = {}
        for path, content in files.items():
            oids[path] = hashlib.sha256(content).hexdigest()
            self.blob(oids[path]).write_bytes(content)
        return self.commit(kind, repo, "main", lambda tree: tree | oids)

    def create(self, kind: str, repo: str, private: bool, sdk: str | None = None) -> bool:
        if (kind, repo) in self.repos:
            return False
        empty = hashlib.sha1(f"{kind} {repo}".encode()).hexdigest()
        self.repos[kind, repo] = {"private": private, "sdk": sdk, "refs": {"main": empty}, "commits": {empty: {}}}
        return True

    def commit(self, kind: str, repo: str, branch: str, change) -> str:
        there = self.repos[kind, repo]
        before = there["refs"][branch]
        tree = change(dict(there["commits"][before]))
        after = hashlib.sha1(json.dumps([before, sorted(tree.items())]).encode()).hexdigest()
        there["commits"][after], there["refs"][branch] = tree, after
        return after


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        self.server.requests.append((self.command, parts.path))
        length = int(self.headers.get("Content-Length") or 0)
        if self.command == "PUT" and self._breaks():
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        self.body = self.rfile.read(length)
        if self.server.status:
            self._send(self.server.status, {"error": f"out of order, {self.headers.get('Authorization')}"})
            return
        for pattern, name in ROUTES:
            if found := re.fullmatch(pattern, urllib.parse.unquote(parts.path)):
                with self.server.lock:
                    getattr(self, name)(**found.groupdict())
                return
        self._send(404, {"error": "Not Found"})

    def _breaks(self) -> bool:
        left = self.server.breaks_after
        self.server.breaks_after = left if left is None else max(left - 1, 0)
        return left == 0

    def _send(self, status: int, content=b"", **headers) -> None:
        if not isinstance(content, bytes):
            content, headers = json.dumps(content).encode(), {"Content-Type": "application/json", **headers}
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass

    @property
    def _may_write(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, kind: str, repo: str):
        """The repository, or None after an answer that it is not there."""
        there = self.server.repos.get((kind, repo))
        if there and (self._may_write or not there["private"]):
            return there
        self._send(401 if not self._may_write else 404, {"error": "Repository not found"},
                   **{"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})  # fmt: skip
        return None

    def _tree(self, kind: str, repo: str, revision: str):
        """Commit and tree of a revision, or None after an answer."""
        there = self._repo(kind, repo)
        if there is None:
            return None
        commit = there["refs"].get(revision, revision)
        if commit not in there["commits"]:
            self._send(404, {"error": "Invalid rev"}, **{"X-Error-Code": "RevisionNotFound"})
            return None
        return commit, there["commits"][commit]

    # --- reading ------------------------------------------------------------------------------------------------------

    def info(self, kind: str, repo: str, revision: str | None = None) -> None:
        if found := self._tree(kind, repo, revision or "main"):
            commit, tree = found
            siblings = [{"rfilename": path, "size": self._size(oid), "blobId": oid} for path, oid in tree.items()]
            private = self.server.repos[kind, repo]["private"]
            self._send(200, {"id": repo, "sha": commit, "private": private, "siblings": siblings})

    def tree(self, kind: str, repo: str, revision: str) -> None:
        if found := self._tree(kind, repo, revision):
            files = [{"type": "file", "path": p, "size": self._size(oid), "oid": oid} for p, oid in found[1].items()]
            self._send(200, files)

    def _size(self, oid: str) -> int:
        return self.server.blob(oid).stat().st_size

    def resolve(self, repo: str, revision: str, path: str, kind: str = "model") -> None:
        found = self._tree(kind, repo, revision)
        if not found:
            return
        commit, tree = found
        if path not in tree:
            self._send(404, {"error": "Entry not found"}, **{"X-Error-Code": "EntryNotFound"})
            return
        content = self.server.blob(tree[path]).read_bytes()
        headers = {"ETag": f'"{tree[path]}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        since = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if since and self.command == "GET":
            start, end = int(since[1]), len(content)
            self.server.resumed.append(start)
            self._send(206, content[start:], **headers, **{"Content-Range": f"bytes {start}-{end - 1}/{end}"})
        elif self.command == "GET" and len(content) > LFS_FROM and self._breaks():
            self.send_response(200)
            for name, value in {"Content-Length": len(content), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            self.connection.close()
        else:
            self._send(200, content, **headers)

    # --- writing ------------------------------------------------------------------------------------------------------

    def create(self) -> None:
        asked = json.loads(self.body)
        kind, repo = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
        if not self._may_write or asked["organization"] not in ("someone", None):
            self._send(403, {"error": f"no rights for {self.headers.get('Authorization')}"})
            return
        new = self.server.create(kind, repo, asked.get("visibility") == "private", asked.get("sdk"))
        url = f"{self.server.address}/{'' if kind == 'model' else kind + 's/'}{repo}"
        self._send(200 if new else 409, {"url": url} if new else {"error": "exists", "url": url})

    def validate(self) -> None:
        self._send(200, {"warnings": [], "errors": []})

    def branch(self, kind: str, repo: str, revision: str) -> None:
        if (there := self._repo(kind, repo)) and revision not in there["refs"]:
            there["refs"][revision] = there["refs"]["main"]
            self._send(200, {})
        elif there:
            self._send(409, {"error": "Reference already exists"})

    def preupload(self, kind: str, repo: str, revision: str) -> None:
        if found := self._tree(kind, repo, revision):
            asked = json.loads(self.body)["files"]
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if self._is_large(file) else "regular",
                    "shouldIgnore": False,
                    "oid": found[1].get(file["path"]) if self._is_large(file) else None,
                }
                for file in asked
            ]
            self._send(200, {"files": files})

    @staticmethod
    def _is_large(file: dict) -> bool:
        return file["size"] > LFS_FROM or b"\0" in base64.b64decode(file["sample"])

    def batch(self) -> None:
        objects = []
        for asked in json.loads(self.body)["objects"]:
            there = self.server.blob(asked["oid"]).is_file()
            actions = {"upload": {"href": f"{self.server.address}/upload/{asked['oid']}"}}
            objects.append(asked | ({} if there else {"actions": actions}))
        self._send(200, {"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        right = hashlib.sha256(self.body).hexdigest() == oid
        if right:
            self.server.blob(oid).write_bytes(self.body)
        self._send(200 if right else 400)

    def commit(self, kind: str, repo: str, revision: str) -> None:
        there = self._repo(kind, repo)
        if not there or not self._may_write:
            return
        lines = [json.loads(line) for line in self.body.splitlines()]

        def change(tree: dict) -> dict:
            for line in lines[1:]:
                value = line["value"]
                if line["key"] == "file":
                    content = base64.b64decode(value["content"])
                    tree[value["path"]] = hashlib.sha256(content).hexdigest()
                    self.server.blob(tree[value["path"]]).write_bytes(content)
                elif line["key"] == "lfsFile":
                    assert self.server.blob(value["oid"]).stat().st_size == value["size"]
                    tree[value["path"]] = value["oid"]
                else:
                    del tree[value["path"]]
            return tree

        commit = self.server.commit(kind, repo, revision, change)
        url = f"{self.server.address}/{repo}/commit/{commit}"
        self._send(200, {"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})


KIND = r"/api/(?P<kind>model|space)s/(?P<repo>[^/]+/[^/]+)"
ROUTES = [
    (r"/api/repos/create", "create"),
    (r"/api/validate-yaml", "validate"),
    (KIND, "info"),
    (KIND + r"/revision/(?P<revision>.+)", "info"),
    (KIND + r"/tree/(?P<revision>[^/]+)/?", "tree"),
    (KIND + r"/preupload/(?P<revision>.+)", "preupload"),
    (KIND + r"/commit/(?P<revision>.+)", "commit"),
    (KIND + r"/branch/(?P<revision>.+)", "branch"),
    (r"/(?:spaces/)?[^/]+/[^/]+\.git/info/lfs/objects/batch", "batch"),
    (r"/upload/(?P<oid>\w+)", "upload"),
    (r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "resolve"),
]
"""Paths and the methods that answer them."""
