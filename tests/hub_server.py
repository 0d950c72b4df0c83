"""A stand-in for the Hugging Face Hub, so that pushing and loading can be tested without a network. It is not the Hub.

It keeps repositories in memory and answers the requests that huggingface_hub 2.4 makes to create, fill and read them,
as that client's source expects: models, data sets and Spaces; branches, tags and pull requests; LFS with the basic
transfer; files by range; private and gated repositories. It knows nothing of Xet, the client's own transfer for large
files, so the client must run with HF_HUB_DISABLE_XET=1. What it accepts the Hub may still refuse: quotas, names,
metadata and rights are checked here only as far as the tests need.

A failure can be ordered for the n-th request of a kind (`HubServer.fail`): a status, or a broken connection.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from hub_repos import Refused, Repo, describe, identity, is_large

API = r"/api/(?P<kind>model|dataset|space)s/(?P<name>[^/]+/[^/]+)"
PAGE = r"/(?:(?P<kind>dataset|space)s/)?(?P<name>[^/]+/[^/]+)"
ROUTES = (
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("GET", API + r"(?:/revision/(?P<revision>[^/]+))?", "info"),
    ("GET", API + r"/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?", "tree"),
    ("POST", API + r"/paths-info/(?P<revision>[^/]+)", "paths"),
    ("POST", API + r"/branch/(?P<branch>[^/]+)", "branch"),
    ("POST", API + r"/tag/(?P<revision>[^/]+)", "tag"),
    ("POST", API + r"/preupload/(?P<revision>[^/]+)", "preupload"),
    ("POST", API + r"/commit/(?P<revision>[^/]+)", "commit"),
    ("POST", PAGE + r"\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/lfs/(?P<oid>\w+)", "upload"),
    ("GET", PAGE + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "resolve"),
    ("GET", r"/cdn/(?P<oid>\w+)", "download"),
)
LICENSES = ("apache-2.0", "cc-by-4.0", "mit", "other")


@dataclass
class Failure:
    """What is wrong with requests `first` to `last` of a kind, counted from when it was ordered."""

    how: int | str
    first: int
    last: int
    code: str
    seen: int = 0


class HubServer(ThreadingHTTPServer):
    """The stand-in on a free port of this machine, served by a thread while the `with` block lasts.

    Attributes:
        endpoint: what HF_ENDPOINT must be.
        users: names by token.
        repos: `Repo` by kind (model, dataset, space) and name.
        objects: what LFS holds, by SHA-256. An object that no commit names is visible to nobody.
        requests: kinds of the requests so far, in their order (the last words of `ROUTES`).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.users = {"hf_me": "me", "hf_other": "other"}
        self.repos = {}
        self.objects = {}
        self.requests = []
        self.failures = {}
        self.lock = threading.RLock()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Say nothing of clients that hang up; anything else shows as the client's error."""

    def add(self, kind, name, files, *, private=False, gated=False):
        """A repository with files by path (bytes); returns its commit."""
        repo = self.repos[kind, name] = Repo(name.split("/")[0], private, gated)
        return repo.commit("main", dict(files))

    def fail(self, request, how, *, nth=1, times=1, code=""):
        """Let `times` requests of a kind fail, from the n-th from now on.

        `how` is a status (with `code` as its X-Error-Code), "drop" to hang up in the middle of the request or, of a
        file, in the middle of the answer, or "lose" to do what was asked and hang up without an answer.
        """
        self.failures[request] = Failure(how, nth, nth + times - 1, code)

    def failure(self, request):
        """The failure that the present request of a kind shall meet."""
        failure = self.failures.get(request)
        if failure is None:
            return None
        failure.seen += 1
        return failure if failure.first <= failure.seen <= failure.last else None


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests; a method for each kind of request, named after it."""

    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_):
        """Keep the test's output clean."""

    def do_GET(self):
        url = urlsplit(self.path)
        method = "GET" if self.command == "HEAD" else self.command
        found = ((re.fullmatch(pattern, url.path), kind) for wanted, pattern, kind in ROUTES if wanted == method)
        match, kind = next(((match, kind) for match, kind in found if match), (None, ""))
        size = int(self.headers.get("Content-Length") or 0)
        with self.server.lock:
            self.server.requests.append(kind)
            failure = self.server.failure(kind)
        self.dropping = failure is not None and failure.how == "drop"
        if self.dropping and method != "GET":
            self.rfile.read(size // 2)
            return self.hang_up()
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.body = self.rfile.read(size)
        try:
            if match is None:
                raise Refused(404, "Sorry, we can't find the page you are looking for.")
            if failure and isinstance(failure.how, int):
                raise Refused(failure.how, "ordered by the test", failure.code)
            words = {name: unquote(word) for name, word in match.groupdict().items() if word}
            with self.server.lock:
                answer = getattr(self, kind)(**words)
            if failure and failure.how == "lose":
                return self.hang_up()
        except Refused as error:
            headers = {"X-Error-Message": error.message, "X-Error-Code": error.code}
            content = getattr(error, "content", {"error": error.message})
            return self.send(json.dumps(content).encode(), error.status, headers)
        if answer is not None:
            self.send(json.dumps(answer).encode())

    do_HEAD = do_POST = do_PUT = do_GET

    def send(self, content, status=200, headers=None):
        """One answer, or half of it."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if self.dropping else content)
        if self.dropping:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(2)

    def user(self):
        """Name of the token's user, None without a token."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in self.server.users:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.server.users.get(token)

    def repo(self, kind, name, *, write=False):
        """A repository that the user may read, or write."""
        user, repo = self.user(), self.server.repos.get((kind, name))
        if repo is None or (repo.private and user != repo.owner):
            raise Refused(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and user != repo.owner and "create_pr" not in self.query:
            raise Refused(403 if user else 401, "You don't have the rights to do this")
        return repo

    def page(self, kind, name):
        return f"{self.server.endpoint}/{'' if kind == 'model' else kind + 's/'}{name}"

    def whoami(self):
        if self.user() is None:
            raise Refused(401, "Invalid username or password.")
        return {"type": "user", "name": self.user(), "orgs": []}

    def create(self):
        asked = json.loads(self.body)
        kind, owner = asked.get("type", "model"), asked["organization"] or self.user()
        name = f"{owner}/{asked['name']}"
        if self.user() != owner:
            raise Refused(403 if self.user() else 401, f"You don't have the rights to create a {kind} in {owner}")
        if (kind, name) in self.server.repos:
            error = Refused(409, f"You already created this {kind} repo")
            error.content = {"error": error.message, "url": self.page(kind, name)}
            raise error
        self.server.add(kind, name, {".gitattributes": b""}, private=asked.get("visibility") == "private")
        self.server.repos[kind, name].sdk = asked.get("sdk")
        return {"url": self.page(kind, name), "name": name}

    def validate(self):
        text = json.loads(self.body)["content"].split("---\n")
        metadata = yaml.safe_load(text[1]) if len(text) > 2 else {}
        if metadata.get("license", "mit") not in LICENSES:
            error = Refused(400, "Invalid metadata")
            error.content = {"errors": [{"message": f'"license" must be one of {", ".join(LICENSES)}'}]}
            raise error
        return {"errors": [], "warnings": []}

    def info(self, kind, name, revision="main"):
        repo = self.repo(kind, name)
        sha = repo.resolve(revision)
        return {
            "id": name,
            "sha": sha,
            "private": repo.private,
            "gated": "manual" if repo.gated else False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in sorted(repo.commits[sha])],
        }

    def tree(self, kind, name, revision, path=""):
        files = self.repo(kind, name).files(revision)
        start = f"{path}/" if path else ""
        inside = [file.removeprefix(start) for file in files if file.startswith(start)]
        if path and not inside:
            raise Refused(404, f"{path} does not exist on {revision}", "EntryNotFound")
        recursive = self.query.get("recursive", "").lower() in {"1", "true"}
        folders = {
            "/".join(parts[:depth]) for parts in (file.split("/") for file in inside) for depth in range(1, len(parts))
        }
        entries = sorted({*inside, *folders})
        return [describe(files, start + entry) for entry in entries if recursive or "/" not in entry]

    def paths(self, kind, name, revision):
        files = self.repo(kind, name).files(revision)
        asked = parse_qs(self.body.decode()).get("paths", [])
        return [describe(files, path) for path in asked if any(f"{file}/".startswith(f"{path}/") for file in files)]

    def branch(self, kind, name, branch):
        repo = self.repo(kind, name, write=True)
        if branch in repo.refs:
            raise Refused(409, "Reference already exists")
        repo.refs[branch] = repo.resolve(json.loads(self.body or b"{}").get("startingPoint", "main"))
        return {}

    def tag(self, kind, name, revision):
        repo = self.repo(kind, name, write=True)
        repo.refs[json.loads(self.body)["tag"]] = repo.resolve(revision)
        return {}

    def preupload(self, kind, name, revision):
        files = self.repo(kind, name, write=True).files(revision)
        return {
            "files": [
                {
                    "path": item["path"],
                    "uploadMode": "lfs" if is_large(item["path"]) else "regular",
                    "shouldIgnore": False,
                    "oid": identity(item["path"], files[item["path"]]) if item["path"] in files else None,
                }
                for item in json.loads(self.body)["files"]
            ]
        }

    def batch(self, name, kind="model"):
        self.repo(kind, name)
        objects = []
        for item in json.loads(self.body)["objects"]:
            upload = {"upload": {"href": f"{self.server.endpoint}/lfs/{item['oid']}"}}
            objects.append(item if item["oid"] in self.server.objects else {**item, "actions": upload})
        return {"transfer": "basic", "objects": objects}

    def upload(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(400, "the content is not what was announced")
        self.server.objects[oid] = self.body
        return {}

    def commit(self, kind, name, revision):
        repo = self.repo(kind, name, write=True)
        files = dict(repo.files(revision))
        for line in self.body.splitlines():
            action, value = (json.loads(line)[word] for word in ("key", "value"))
            if action == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif action == "lfsFile":
                if value["oid"] not in self.server.objects:
                    raise Refused(400, f"LFS object {value['oid']} was not uploaded")
                files[value["path"]] = self.server.objects[value["oid"]]
            elif action == "deletedFile" and files.pop(value["path"], None) is None:
                raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
        number = 1 + sum(ref.startswith("refs/pr/") for ref in repo.refs)
        ref = f"refs/pr/{number}" if "create_pr" in self.query else revision
        sha = repo.commit(ref, files)
        page = self.page(kind, name)
        return {"commitUrl": f"{page}/commit/{sha}", "commitOid": sha, "pullRequestUrl": f"{page}/discussions/{number}"}

    def resolve(self, name, revision, path, kind="model"):
        repo = self.repo(kind, name)
        if repo.gated and self.user() != repo.owner:
            raise Refused(403 if self.user() else 401, "Access to this repository is restricted", "GatedRepo")
        sha = repo.resolve(revision)
        if path not in repo.commits[sha]:
            raise Refused(404, "Entry not found", "EntryNotFound")
        content = repo.commits[sha][path]
        oid = identity(path, content)
        if not is_large(path):
            return self.send_file(content, {"ETag": f'"{oid}"', "X-Repo-Commit": sha})
        # Large files lie on another host, which must not be shown the token.
        self.server.objects[oid] = content
        headers = {"Location": f"http://localhost:{self.server.server_port}/cdn/{oid}", "X-Repo-Commit": sha}
        return self.send(b"", 302, {**headers, "X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content))})

    def download(self, oid):
        if self.headers.get("Authorization"):
            raise Refused(400, "the token was sent to another host")
        self.send_file(self.server.objects[oid], {"ETag": f'"{oid}"'})

    def send_file(self, content, headers):
        """A file, or the range of it that was asked for."""
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            return self.send(content, 200, headers)
        start, stop = int(asked[1]), int(asked[2] or len(content) - 1) + 1
        part = content[start:stop]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        return self.send(part, 206, headers)
