"""One user of a device at a time, whoever they are, on the device's own host.

All users of a board exclude each other by a name that Linux itself keeps (an abstract socket address): it is no file, so nobody can put
a link, a pipe or a folder in its place, nothing is written anywhere, and it ends with its process. Beside it the holder keeps a locked file
in a folder of their own: its text says who they are, and where a system has no such names it is the lock, among one user's processes.
"""

import errno
import fcntl
import hashlib
import json
import os
import platform
import pwd
import re
import socket
import struct
import sys
import time

import faults
import private_folder

BACKLOG = 4096  # of askings who holds, which nobody answers: one every fifth of a second while somebody waits
MOST_NOTE_BYTES = 4096


def take(resource, who):
    """``(lock, None)`` when it was free or its holder had died, else ``(None, who holds it)``; it lasts as long as what is returned."""
    digest = hashlib.sha256(resource.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    name = _taken(digest)
    if name is None:
        return None, _holder(digest, resource)
    folder = private_folder.runtime()
    if folder is None:
        return (name, None), None
    path = _path(folder, digest, resource)
    try:
        descriptor = private_folder.open_own(path)
    except OSError as error:
        if name:
            return (name, None), None  # only the note is missing
        raise faults.Unusable("%s cannot be the lock of %s: %s" % (path, resource, error.strerror))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(descriptor, MOST_NOTE_BYTES, 0)
        os.close(descriptor)
        if name:
            name.close()
        return None, _read(text)
    note = dict(who, agent_pid=os.getpid(), since=time.strftime("%Y-%m-%d %H:%M:%S"))
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode("utf-8")[:MOST_NOTE_BYTES], 0)
    except OSError:
        pass  # a full disk: the lock itself holds, only its note is missing
    return (name, descriptor), None


def _taken(digest):
    """The name as a socket, None where another process has it, False where the system has no such names."""
    if not sys.platform.startswith("linux"):
        return False
    name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        name.bind(_address(digest))
        name.listen(BACKLOG)
    except OSError as error:
        name.close()
        if error.errno == errno.EADDRINUSE:
            return None
        return False
    return name


def _address(digest):
    return "\0espalier-device-" + digest


def _path(folder, digest, resource):
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", resource)[:60]
    return os.path.join(folder, "%s-%s.lock" % (plain, digest))


def _holder(digest, resource):
    """Who holds the name: this user by their own note, another one by what the system tells of the process."""
    pid, uid = _credentials(digest)
    folder = private_folder.runtime()
    if uid == os.geteuid() and folder is not None:
        try:
            descriptor = os.open(_path(folder, digest, resource), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return _told(pid, uid)
        try:
            note = _read(os.pread(descriptor, MOST_NOTE_BYTES, 0))
        except OSError:
            note = {}
        os.close(descriptor)
        if note.get("agent_pid") == pid:
            return note
    return _told(pid, uid)


def _credentials(digest):
    """Process and user that listen at the name; zero where they cannot be told."""
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    asking.setblocking(False)
    try:
        asking.connect(_address(digest))
        pid, uid, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    except OSError:
        return 0, -1
    finally:
        asking.close()
    return pid, uid


def _told(pid, uid):
    if not pid:
        return {}
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = "user %d" % uid
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            command = file.read(200).replace(b"\0", b" ").decode("utf-8", "replace").strip()
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(os.stat("/proc/%d" % pid).st_mtime))
    except OSError:
        command, since = "its command is not told", "a time that is not told"
    return {"pid": pid, "user": user, "host": platform.node(), "since": since, "command": command}


def _read(text):
    try:
        note = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}
