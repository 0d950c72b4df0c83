"""What the stand-in Hub holds (see `hub_server`): repositories with their commits and references."""

import hashlib
from dataclasses import dataclass, field
from fnmatch import fnmatch

LARGE = ("*.bin", "*.jpg", "*.parquet", "*.png", "*.safetensors", "*.whl")


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status, message, code=""):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass
class Repo:
    """Files of every commit by path, and the commit of every branch, tag and pull request."""

    owner: str
    private: bool = False
    gated: bool = False
    sdk: str | None = None
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, ref, files):
        sha = hashlib.sha1(repr((ref, len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[sha], self.refs[ref] = files, sha
        return sha

    def resolve(self, revision):
        sha = self.refs.get(revision, revision)
        if sha not in self.commits:
            raise Refused(404, "Invalid rev id", "RevisionNotFound")
        return sha

    def files(self, revision="main"):
        return self.commits[self.resolve(revision)]


def is_large(path):
    """Whether LFS keeps a file."""
    return any(fnmatch(path, pattern) for pattern in LARGE)


def identity(path, content):
    """What the Hub knows a file by: SHA-256 of a large one, else the object id that git gives it."""
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def describe(files, path):
    """A file or folder as the tree lists it."""
    if path not in files:
        return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}
    oid, size = identity(path, files[path]), len(files[path])
    entry = {"type": "file", "path": path, "oid": oid, "size": size}
    return entry | {"lfs": {"oid": oid, "size": size, "pointerSize": 134}} if is_large(path) else entry
