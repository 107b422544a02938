"""A small local server that speaks the calls of the Hugging Face Hub: fetch, publish, errors."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

LARGE = (".safetensors", ".png", ".onnx", ".pth", ".h5")
"""Endings of the files that are kept in Git LFS."""


class Hub:
    """Repositories: name → commits, oldest first, each a dict of path → bytes."""

    def __init__(self):
        self.commits, self.large, self.status = {}, {}, None

    def commit(self, name, files):
        """Add a commit; returns its 40 digits."""
        commits = self.commits.setdefault(name, [])
        commits.append((commits[-1] if commits else {}) | files)
        return self.oid(name, len(commits) - 1)

    def oid(self, name, number):
        return hashlib.sha1(f"{name} {number}".encode()).hexdigest()

    def number(self, name, revision):
        """Index of a commit; None: there is no such revision."""
        oids = [self.oid(name, i) for i in range(len(self.commits[name]))]
        if revision == "main":
            return len(oids) - 1
        return oids.index(revision) if revision in oids else None


class _Calls(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802 - the base class's name
        hub, path = self.server.hub, urllib.parse.unquote(self.path.partition("?")[0])
        if hub.status:
            self._answer(hub.status)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(?:revision|tree)/(.+))?", path):
            self._repository(match[1], match[2] or "main", tree="/tree/" in path)
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(*match.groups())
        else:
            self._answer(404)

    do_HEAD = do_GET  # noqa: N815

    def _found(self, name, revision):
        """Number of the commit; None: answered that it is not there."""
        if name not in self.server.hub.commits:
            return self._answer(404, error="RepoNotFound")
        number = self.server.hub.number(name, revision)
        return self._answer(404, error="RevisionNotFound") if number is None else number

    def _repository(self, name, revision, tree):
        if (number := self._found(name, revision)) is None:
            return
        files = self.server.hub.commits[name][number]
        if tree:
            entries = [
                {"type": "file", "path": p, "size": len(b), "oid": _etag(p, b)}
                for p, b in files.items()
            ]
            self._answer(200, entries)
            return
        siblings = [{"rfilename": path} for path in files]
        sha = self.server.hub.oid(name, number)
        self._answer(200, {"id": name, "sha": sha, "siblings": siblings})

    def _file(self, name, revision, path):
        if (number := self._found(name, revision)) is None:
            return
        body = self.server.hub.commits[name][number].get(path)
        commit = {"X-Repo-Commit": self.server.hub.oid(name, number)}
        if body is None:
            self._answer(404, error="EntryNotFound", headers=commit)
        else:
            self._answer(200, body, headers=commit | {"ETag": f'"{_etag(path, body)}"'})

    def do_POST(self):  # noqa: N802
        hub, body = self.server.hub, self._body()
        if self.headers.get("Authorization") != "Bearer hf_test":
            self._answer(401)
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            hub.commits.setdefault(name, [{}])
            self._answer(200, {"url": f"{self.server.url}/{name}", "name": name})
        elif "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(LARGE) else "regular"}
                for f in json.loads(body)["files"]
            ]
            self._answer(200, {"files": [f | {"shouldIgnore": False} for f in files]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            asked = json.loads(body)["objects"]
            self._answer(200, {"transfer": "basic", "objects": [self._upload(o) for o in asked]})
        elif match := re.fullmatch(r"/api/models/(.+/.+)/commit/main", self.path):
            files = _files_of(body, hub.large)
            oid = hub.commit(match[1], files)
            url = f"{self.server.url}/{match[1]}/commit/{oid}"
            self._answer(200, {"commitUrl": url, "commitOid": oid})
        else:
            self._answer(404)

    def _upload(self, asked):
        href = f"{self.server.url}/large/{asked['oid']}"
        return asked | {"actions": {"upload": {"href": href}}}

    def do_PUT(self):  # noqa: N802
        body = self._body()
        digest = self.path.rpartition("/")[2]
        self.server.hub.large[digest] = body
        self._answer(200 if hashlib.sha256(body).hexdigest() == digest else 400)

    def _body(self):
        if length := self.headers.get("Content-Length"):
            return self.rfile.read(int(length))
        parts = []
        while size := int(self.rfile.readline(), 16):  # chunked
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status, content=b"", error=None, headers=()):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if not isinstance(content, bytes):
            self.send_header("Content-Type", "application/json")
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if error:
            self.send_header("X-Error-Code", error)
            self.send_header("X-Error-Message", error)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


def _etag(path, body):
    """The checksum by which a file's content is known: SHA-256 of a large one, else git's."""
    if path.endswith(LARGE):
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _files_of(body, large):
    """Path → bytes of a commit's lines."""
    files = {}
    for line in body.decode().splitlines():
        entry = json.loads(line)
        value = entry["value"]
        if entry["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif entry["key"] == "lfsFile":
            files[value["path"]] = large[value["oid"]]
    return files


@contextlib.contextmanager
def serving():
    """Run a server at ``server.url`` with an empty `Hub` as ``server.hub``."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Calls)
    server.daemon_threads = True
    server.hub, server.url = Hub(), f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
