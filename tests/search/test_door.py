"""The door of ``python -m search``: numbers, surroundings, Ctrl-C, and code that came with a folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.files import trust
from search import verbs
from search.records import folder, kept_source
from search.records.request import Request
from tests.attacks.seeds import CORPUS

BAD = ("1_0", " 3", "٣", "1e3", "99999999999999999999999", "nan", "0x10", "+", "")
NUMBERS = (
    "--workers",
    "--proof-seeds",
    "--trials",
    "--seed",
    "--rounds",
    "--designs",
    "--finalists",
    "--patience",
    "--folds",
    "--channels",
)
MINE = "from torch import nn\nfrom pathlib import Path\nPath({witness!r}).touch()\n\ndef net(classes):\n    return nn.Flatten()\n"


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished campaign that somebody sent, whose request names code in its own folder, which leaves a mark when it runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_allowed", set())
    monkeypatch.setattr(trust, "_ask", [True])
    place = tmp_path / "reports" / "campaigns" / "theirs"
    shutil.copytree(CORPUS / "campaign", place)
    code = place / "network" / "evil.py"
    code.parent.mkdir()
    code.write_text(MINE.format(witness=str(tmp_path / "witness")))
    document = json.loads((place / "request.json").read_bytes())
    document |= {"network": f"{code}:net", "reports": str(tmp_path / "elsewhere"), "name": "other", "proof_seeds": 9}
    (place / "request.json").write_text(json.dumps(document))
    kept_source.stored_files.replace(
        code.with_name("evil.py.sha256"), f"{kept_source.hashlib.sha256(code.read_bytes()).hexdigest()}  evil.py\n".encode()
    )
    return place


@pytest.mark.parametrize("verb", ["resume", "export", "explain", "fork"])
def test_code_that_came_along_is_not_run(theirs: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    reports = f"--reports={theirs.parents[1]}"
    words = {"explain": ["explain", "--name=theirs", reports], "fork": ["fork", "theirs", "--name=mine", reports]}
    assert verbs.main(words.get(verb, [verb, "theirs", reports])) == 2
    told = capsys.readouterr().err
    assert "never allowed to run here" in told
    assert "--trust" in told
    assert len(told.splitlines()) == 1
    assert not (theirs.parents[2] / "witness").exists()
    assert not (theirs.parents[2] / "elsewhere").exists()


@pytest.mark.parametrize("verb", ["show", "report"])
def test_what_needs_no_network_needs_no_trust(theirs: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main([verb, "theirs", f"--reports={theirs.parents[1]}"]) == 0
    assert "faster than dense" in capsys.readouterr().out
    assert not (theirs.parents[2] / "witness").exists()
    assert not (theirs.parents[2] / "elsewhere").exists()


def test_trust_is_remembered_by_content_outside_of_the_folder(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, name = theirs / "network" / "evil.py", f"{theirs / 'network' / 'evil.py'}:net"
    assert verbs.main(["trust", str(theirs)]) == 0
    monkeypatch.setattr(trust, "_allowed", set())  # as another process
    assert kept_source.allowed(theirs, name)[0] == code
    code.write_text(code.read_text() + "\n")
    (code.with_name("evil.py.sha256")).write_text(f"{kept_source.hashlib.sha256(code.read_bytes()).hexdigest()}  evil.py\n")
    with pytest.raises(trust.UsageError, match="never allowed"):
        kept_source.allowed(theirs, name)
    trust.given()
    kept_source.allowed(theirs, name)
    assert len(list((theirs.parents[2] / "state" / "espalier" / "trusted").iterdir())) == 2


def test_a_request_says_nothing_of_its_own_place(theirs: Path) -> None:
    found = folder.read_request(theirs)
    assert (found.reports, found.name) == (theirs.parents[1], "theirs")


@pytest.mark.parametrize("text", BAD)
def test_numbers_in_other_forms_are_refused_in_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NUMBERS:
        with pytest.raises(SystemExit) as ended:
            verbs.main(["run", f"{name}={text}"])
        assert ended.value.code == 2
        assert "give plain digits" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "words", ["--workers=100000", "--proof-seeds=99999999", "--trials=999999999", "--budget=1e300", "--max-latency-ms=1e300"]
)
def test_numbers_out_of_range_are_refused(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["run", words, f"--reports={tmp_path}"]) == 2
    assert words.split("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(set(Request.__annotations__)))
def test_every_number_of_a_request_has_a_range(name: str) -> None:
    from harness.files.numbers import OPTIONS

    if Request.__annotations__[name].split(" | ")[0] in ("int", "float"):
        assert name.replace("_", "-") in OPTIONS


def run(tmp_path: Path, *words: str, **changed: str | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment = {name: text for name, text in {**environment, **changed}.items() if text is not None}
    return subprocess.run([sys.executable, "-m", "search", *words], capture_output=True, text=True, env=environment, cwd=tmp_path)


def test_a_removed_working_directory_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os, sys; os.rmdir({str(gone)!r}); from search.__main__ import main; sys.exit(main(['show', 'c']))"
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=gone, env={**os.environ, "PYTHONPATH": paths})
    assert (ended.returncode, ended.stderr) == (2, "error: the working directory was removed; go to one that is there: cd\n")


def test_no_temporary_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(tmp_path / "not there")])
    assert verbs.main(["show", "c", f"--reports={tmp_path}"]) == 2
    assert "set TMPDIR" in capsys.readouterr().err


def test_ctrl_c_in_the_first_moments_is_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}
    for wait_s in (0.15, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; print(1, flush=True); from search.__main__ import main; sys.exit(main(['show', 'c']))"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait_s)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
        assert process.returncode in (130, 2), told  # 2: it was over before, for there is no such campaign
        assert len(told.splitlines()) == 1, told
