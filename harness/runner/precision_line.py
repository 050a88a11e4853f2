"""The line that tells a run in another precision than f32 what it gains or costs, once for every device, before it measures."""

from __future__ import annotations

import pytest

from harness.devices.samples import Subject
from harness.devices.session import Session
from harness.sweeps import precisions

SAID = pytest.StashKey[set[str]]()
OWN_ARTEFACT = "int8"  # quantised first: what runs in f32 says nothing of them


def say_once(config: pytest.Config, session: Session, subject: Subject, batch_size: int) -> None:
    """Look at ``subject`` in the run's precision beside f32, and write the line; nothing for f32, and where a line on this device stands.

    A precision that the device refuses is told by the measurement itself.
    """
    asked, said = config.getoption("--precision"), config.stash.setdefault(SAID, set())
    if asked == precisions.REFERENCE or asked == OWN_ARTEFACT or session.info.name in said:
        return
    said.add(session.info.name)
    subjects = {precisions.REFERENCE: subject, asked: subject}
    _, found = precisions.compare(session, subjects, batch_size)
    if not found.refused:
        _write(config, found.sentence(session.info))


def _write(config: pytest.Config, line: str) -> None:
    """On the terminal now, also where output is captured."""
    capture, reporter = (config.pluginmanager.getplugin(name) for name in ("capturemanager", "terminalreporter"))
    if reporter is None:
        return
    if capture is not None:
        capture.suspend_global_capture(in_=False)
    try:
        reporter.ensure_newline()
        reporter.write_line(line)
    finally:
        if capture is not None:
            capture.resume_global_capture()
