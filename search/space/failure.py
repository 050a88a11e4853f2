"""Why a bench run failed, read off what pytest printed: the harness's own sentences whole, and no tracebacks."""

from __future__ import annotations

import re

from harness.errors import one_line

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_RAISED = re.compile(r"^E   +(?:[\w.]+\.)?(\w+): (.*)$")
_ENDED = re.compile(r"^!+ (?:[\w.]+\.)?Exit: (.*?) !+$")
_OWN = re.compile(
    r"(Error|Exception|Refused|Unavailable|Busy|Timeout|Crashed|Quarantined|Unknown|Name|Differ|Measurement|Interrupt|Outputs|Exit)$"
)
_HEADED = re.compile(r"^_+ .+ _+$")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?$")


def reason(output: str, code: int) -> str:
    """Each reason once, in the order in which they came; the last lines where pytest gave none. code: what pytest ended with."""
    lines = [_COLOURS.sub("", line).rstrip() for line in output.splitlines()]
    found = []
    for before, line in zip(["", *lines], lines, strict=False):
        if _HEADED.match(before) and line:  # a refusal that pytest was told to show as its one line; a traceback begins with an empty one
            found.append(line)
        if ended := _ENDED.match(line):
            found.append(ended[1])
        elif (raised := _RAISED.match(line)) and _OWN.search(raised[1]):
            found.append(raised[2])
        elif line.startswith(("E   Failed: ", "E       Failed: ")):
            found.append(line.partition("Failed: ")[2])
    if not found:
        found = [f"{failed[1]}: {failed[2]}" if failed[2] else failed[1] for line in lines if (failed := _FAILED.match(line))]
    if not found:
        found = [line for line in lines if line.strip()][-3:] or ["it printed nothing"]
    return one_line(f"{'; '.join(dict.fromkeys(found))} (pytest ended with {code})")
