"""What was tried before on this machine, in the user's cache: sealed by a digest, and anything damaged is as good as none."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from harness.files import json_text
from harness.networks.pictures.picture_cache import cache_folder
from harness.records import stored_files

SCHEMA = 1
BUSY_SHARE = 0.75  # of the processors, by the load average: what is seen on a machine so busy is soon forgotten
BUSY_S = 3600.0  # for which it is remembered: long enough for campaigns that are to be compared


def machine() -> tuple[str, ...]:
    """What decides how fast training runs here, apart from the network: processor, how many of them may be used, torch."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return (_processor_model(), str(count), version("torch"))


def is_busy() -> bool:
    """Whether other programs hold so much of this machine that what is seen now says little of it."""
    return os.getloadavg()[0] > BUSY_SHARE * (os.cpu_count() or 1)


def find(kind: str, key: Sequence[str]) -> tuple[str | None, str]:
    """The text stored under ``key``, and why a file that lies there cannot be used (empty where it can, or where none does)."""
    path = _path(kind, key)
    try:
        document = json_text.read(path)
        text, until = str(document["text"]), float(document["until"] or math.inf)
        if document["schema"] != SCHEMA or document["seal"] != _digest(f"{until}{text}"):
            return None, f"{path} is damaged, and is ignored: what it said is tried anew"
        return (text if time.time() < until else None), ""
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None, f"{path} cannot be read, and is ignored: what it said is tried anew"


def keep(kind: str, key: Sequence[str], text: str, busy: bool = False) -> None:
    """Store ``text``, for an hour where the machine was ``busy``; a disk that takes nothing costs the next start a few seconds."""
    path, until = _path(kind, key), time.time() + BUSY_S if busy else math.inf
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored_files.replace(
            path,
            json.dumps(
                {"schema": SCHEMA, "seal": _digest(f"{until}{text}"), "until": None if math.isinf(until) else until, "text": text}
            ).encode(),
        )
    except OSError:
        return


def _path(kind: str, key: Sequence[str]) -> Path:
    return cache_folder() / "speed" / f"{kind}-{_digest(json.dumps([*machine(), *key]))[:16]}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _processor_model() -> str:
    plain = processor_facts()
    names = ("vendor_id", "model name", "cpu family", "model", "stepping", "CPU implementer", "CPU part")
    return " ".join(plain[name] for name in names if name in plain) or platform.processor() or platform.machine()


def processor_facts() -> dict[str, str]:
    """What Linux says of the first processor, by its words; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return {}
    told = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)  # the first processor's stay
    return {key.strip(): text.strip() for key, text in told.items()}
