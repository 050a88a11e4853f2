"""What every verb of ``python -m search`` does: run, resume, show, report or export a campaign, or look at its network."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError, UnknownName, UsageError
from harness.files import disk, reading, trust
from harness.training.speed import waiting
from search import command_line
from search.records.display import Display
from search.records.request import folder_name

TRAINING = ("run", "resume", "fork", "explain", "experiment")  # verbs
COPIES = "network"  # as ``harness.networks.own.source`` says, which needs torch
INTERRUPTED = 130  # the shell's code for a command ended by Ctrl-C


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code, 0 only when what was asked for was done and found."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only gets question marks, and no traceback
    display = Display()
    try:
        arguments = command_line.parse(sys.argv[1:] if words is None else words)
        _refuse_surroundings()
        if getattr(arguments, "trust", False):
            trust.given()
        return _do(arguments.verb, arguments, display)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {disk.told(error)}; make room, or mend the permissions, then go on: python -m search resume NAME", file=sys.stderr)
        return UsageError.exit_code
    except KeyboardInterrupt:
        print("interrupted; nothing finished is lost: python -m search resume NAME", file=sys.stderr)
        return INTERRUPTED


def _refuse_surroundings() -> None:
    """UsageError for a process without a working directory or a temporary folder, on which libraries end in words of their own."""
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError("the working directory was removed; go to one that is there: cd") from error
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise UsageError("no folder for temporary files can be written into; make room in /tmp, or set TMPDIR to another folder") from error


def _trust(path: Path, display: Display) -> int:
    """Allow the code in a file, or the copies that a campaign or a saved network keeps of its own."""
    files = [path] if path.is_file() else sorted((path / COPIES).glob("*.py"))
    if not files:
        raise UsageError(f"{path} is no Python file, nor a folder with {COPIES}/*.py; give what the message named")
    for one in files:
        trust.allow(reading.read(one), one)
        display.say(f"{one} may run from now on, for this user, as long as it stays as it is")
    return 0


def _compare(arguments: command_line.Words, display: Display) -> int:
    from search.race import compare, plateau, replayed, synthetic

    problems, methods = arguments.problem.split(","), arguments.methods.split(",")
    for name in problems:
        if name not in (known := (*synthetic.PROBLEMS, plateau.NAME, *replayed.names())):
            raise UnknownName("problem", name, known)
    if unknown := [name for name in methods if name not in compare.METHODS]:
        raise UnknownName("method", unknown[0], compare.METHODS)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table = compare.synthetic_race(
        problems,
        methods,
        arguments.trials,
        range(arguments.seeds),
        arguments.folder,
        lambda run: display.say(
            f"{run.problem} instance {run.instance}, {run.method}, seed {run.seed}: {run.seconds_per_trial:.3f} s a trial"
        ),
    )
    display.say(table.read_text(encoding="utf-8"))
    display.say(f"written: {table}")
    return 0


def _experiment(arguments: command_line.Words, display: Display) -> int:
    from search.experiment import experiment, studies

    plan = studies.plan(arguments.network, arguments.dataset, arguments.data, arguments.device, arguments.reports, quick=arguments.quick)
    page = experiment.pages(plan) if arguments.pages else experiment.run(plan, display, arguments.without_device)
    display.say("tuned; the same command without --without-device measures, where the device is" if page is None else f"written: {page}")
    return 0


def _do(verb: str, arguments: command_line.Words, display: Display) -> int:
    if verb == "compare":
        return _compare(arguments, display)
    if verb == "trust":
        return _trust(arguments.path, display)
    if verb in ("run", "fork", "explain", "groups"):
        request = command_line.request(arguments)
    elif verb != "experiment":
        folder_name(arguments.name)
    if verb in TRAINING and (note := waiting.settle().note):  # before torch is loaded, which reads the environment once
        display.say(note)
    if verb == "experiment":
        return _experiment(arguments, display)
    from search import journey  # after the words are known to be right: torch takes seconds
    from search.records import folder as folders
    from search.records import outcome
    from search.report.compiled import telling

    if verb == "fork":
        request = folders.inheriting(request, command_line.left_open(arguments), display.say)
    if verb == "groups":
        from search.report import groups_run

        groups_run.run(request, display)
        return 0
    if verb == "explain":
        from search.report.costs import run as explain_run

        explain_run.run(request, display)
        return 0
    if verb == "export":
        from search.report import export_run

        display.say(f"written: {export_run.run(arguments.name, arguments.reports, arguments.file, display)}")
        return 0
    if verb in ("run", "fork"):
        done = journey.run(request, display, arguments.without_device)
    elif verb == "resume":
        done = journey.resume(
            arguments.name, arguments.reports, display, lambda old: command_line.changed(old, arguments), arguments.without_device
        )
    else:
        done = journey.Done(folders.existing(arguments.name, arguments.reports))
        if verb == "report":
            telling.write(done.folder)
    if verb in ("show", "report") or (done.folder / outcome.CONTENDERS).is_file():  # --proof-seeds=0, --without-device: none to show
        telling.show(display.console, done.folder)
    return command_line.LIMIT_MISSED if done.limit_missed else 0
