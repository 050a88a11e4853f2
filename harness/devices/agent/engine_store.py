"""What a board keeps between sessions, in one folder of this user: built engines by the digest of what made them, and timing caches.

An engine is code that the GPU runs: the folder belongs to this user alone, and a file whose contents do not have its own digest is
not loaded but built again.
"""

import hashlib
import os
import stat
import tempfile

MOST_BYTES = 2 << 30  # of engines; beyond, the ones that were not used for longest go
SUFFIX = ".engine"
DIGEST_BYTES = 32


class Store:
    """folder: where, made when first written to; "" keeps nothing."""

    def __init__(self, folder):
        self.folder = os.path.expanduser(folder) if folder else ""

    def engine(self, key):
        """The bytes kept under ``key``, or None: none there, damaged, or not this user's."""
        whole = self._read(key + SUFFIX)
        if whole is None or len(whole) <= DIGEST_BYTES or hashlib.sha256(whole[DIGEST_BYTES:]).digest() != whole[:DIGEST_BYTES]:
            return None
        try:
            os.utime(os.path.join(self.folder, key + SUFFIX))
        except OSError:
            return whole[DIGEST_BYTES:]  # its age is all that is lost
        return whole[DIGEST_BYTES:]

    def keep_engine(self, key, engine):
        """Keep an engine; words of why it could not be, or ""."""
        if not self.folder:
            return ""
        told = self._write(key + SUFFIX, hashlib.sha256(engine).digest() + engine)
        return told or self._make_room(key + SUFFIX)

    def drop_engine(self, key):
        """Forget an engine."""
        try:
            os.remove(os.path.join(self.folder, key + SUFFIX))
        except OSError:
            return

    def timing(self, name):
        """A timing cache's bytes; empty where there is none."""
        return self._read(name) or b""

    def keep_timing(self, name, cache):
        """Keep a timing cache; words of why it could not be, or ""."""
        return self._write(name, cache)

    def _read(self, name):
        if not self.folder:
            return None
        try:
            if not _own(self.folder):
                return None
            with open(os.path.join(self.folder, name), "rb") as file:
                return file.read()
        except OSError:
            return None

    def _write(self, name, content):
        if not self.folder:
            return ""
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if not _own(self.folder):
                return "%s is not this user's alone: chmod go-w it, or set engine_cache to another folder" % self.folder
            descriptor, path = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(path, os.path.join(self.folder, name))  # two sessions may write at once: the last one's stays, whole
        except OSError as error:
            return "%s cannot be written in: %s" % (self.folder, error.strerror)
        return ""

    def _make_room(self, spared):
        try:
            files = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(SUFFIX)]
            aged = sorted((os.stat(path).st_mtime, os.stat(path).st_size, path) for path in files)
            total = sum(size for _, size, _ in aged)
            for _, size, path in aged:
                if total > MOST_BYTES and not path.endswith(spared):
                    os.remove(path)
                    total -= size
        except OSError as error:
            return "%s: %s" % (self.folder, error.strerror)
        return ""


def _own(folder):
    found = os.stat(folder)
    return found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o022
