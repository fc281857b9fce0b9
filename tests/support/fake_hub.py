"""A Hugging Face Hub on the loopback: repositories are made, committed to and read. One token may do everything.

Weights go to its storage first, as large files do there (Git LFS), and are named in the commit.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import threading

import yaml

TOKEN = "hf_thesecretofthetests"
SHA = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(http.server.ThreadingHTTPServer):
    """`files` and `private` by repository, `stored` by sha256; every request in `seen`.

    Of what is sent to the storage the first `refusals` are refused.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.stored: dict[str, bytes] = {}
        self.refusals = 0
        self.seen: list[str] = []

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self, home):
        """Of a process that knows this Hub alone and keeps what it fetches in `home`."""
        # A test that ran --offline in this process left its variables behind.
        unwanted = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_TOKEN")
        known = {key: value for key, value in os.environ.items() if key not in unwanted}
        here = {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
        return known | here | {"HF_HUB_DISABLE_XET": "1"}  # whose storage has a protocol of its own


@contextlib.contextmanager
def serving():
    with FakeHub() as hub:
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answered()

    def do_GET(self):
        self.answered()

    def do_POST(self):
        self.answered()

    def do_PUT(self):
        self.answered()

    def answered(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        self.server.seen.append(f"{self.command} {path}")
        if path == "/":
            return self.say(200, {})
        if found := re.fullmatch(r"/storage/(?P<digest>\w+)", path):  # its addresses are secrets of their own
            return self.kept(body, **found.groupdict())
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.say(401, {"error": "Invalid username or password."})
        for pattern, answer in _ROUTES:
            if found := re.fullmatch(pattern, path):
                return answer(self, body, **found.groupdict())
        return self.say(404, {"error": f"unknown address {path}"})

    def say(self, status, document, **headers):
        self.send(status, json.dumps(document).encode(), {"Content-Type": "application/json", **headers})

    def send(self, status, content, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def missing(self, code):
        self.say(404, {"error": code}, **{"X-Error-Code": code})

    # --- addresses

    def make(self, body):
        wanted = json.loads(body)
        name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"]
        self.server.files[name] = {}
        self.server.private[name] = wanted["visibility"] == "private"
        self.say(200, {"url": f"{self.server.endpoint}/{name}"})

    def info(self, body, repository, **_):
        if repository not in self.server.files:
            return self.missing("RepoNotFound")
        files = [{"rfilename": name} for name in self.server.files[repository]]
        about = {"id": repository, "sha": SHA, "private": self.server.private[repository], "siblings": files}
        return self.say(200, about | {"tags": [], "downloads": 0, "likes": 0})

    def tree(self, body, repository):
        files = self.server.files[repository].items()
        entries = [
            {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for path, content in files
        ]
        self.say(200, entries)

    def checked(self, body):
        text = json.loads(body)["content"]
        errors = [] if isinstance(yaml.safe_load(text.split("---")[1]), dict) else [{"message": "no metadata"}]
        self.say(400 if errors else 200, {"errors": errors, "warnings": []})

    def announced(self, body, **_):
        files = [{"path": f["path"], "shouldIgnore": False} for f in json.loads(body)["files"]]
        self.say(200, {"files": [f | {"uploadMode": "lfs" if _is_large(f["path"]) else "regular"} for f in files]})

    def invited(self, body, **_):
        objects = []
        for wanted in json.loads(body)["objects"]:
            address = f"{self.server.endpoint}/storage/{wanted['oid']}"
            there = wanted["oid"] in self.server.stored
            objects.append(wanted if there else wanted | {"actions": {"upload": {"href": address}}})
        self.say(200, {"transfer": "basic", "objects": objects})

    def kept(self, body, digest):
        if self.server.refusals:
            self.server.refusals -= 1
            return self.say(403, {"error": "the storage is full"})
        assert hashlib.sha256(body).hexdigest() == digest
        self.server.stored[digest] = body
        return self.say(200, {})

    def committed(self, body, repository):
        for line in body.splitlines():
            entry = json.loads(line)
            about = entry["value"]
            if entry["key"] == "file":
                self.server.files[repository][about["path"]] = base64.b64decode(about["content"])
            elif entry["key"] == "lfsFile":
                self.server.files[repository][about["path"]] = self.server.stored[about["oid"]]
            elif entry["key"] == "deletedFile":
                del self.server.files[repository][about["path"]]
        url = f"{self.server.endpoint}/{repository}/commit/{SHA}"
        self.say(200, {"success": True, "commitOid": SHA, "commitUrl": url})

    def resolved(self, body, repository, path):
        if repository not in self.server.files:
            return self.missing("RepoNotFound")
        content = self.server.files[repository].get(path)
        if content is None:
            return self.missing("EntryNotFound")
        tag = f'"{hashlib.sha1(content).hexdigest()}"'
        return self.send(200, content, {"ETag": tag, "X-Repo-Commit": SHA})


def _is_large(path):
    return path.endswith(".safetensors")


_NAME = r"(?P<repository>[\w-]+/[\w-]+)"
_ROUTES = (
    (r"/api/repos/create", _Answers.make),
    (r"/api/validate-yaml", _Answers.checked),
    (rf"/api/models/{_NAME}/preupload/main", _Answers.announced),
    (rf"/api/models/{_NAME}/commit/main", _Answers.committed),
    (rf"/{_NAME}\.git/info/lfs/objects/batch", _Answers.invited),
    (rf"/api/models/{_NAME}/tree/.+", _Answers.tree),
    (rf"/api/models/{_NAME}(/revision/.+)?", _Answers.info),
    (rf"/{_NAME}/resolve/[^/]+/(?P<path>.+)", _Answers.resolved),
)
