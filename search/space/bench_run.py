"""A run of the bench suites that a campaign asks for: its options as words, its command, and its file, whole or not at all."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CampaignError, RecordError
from harness.latency.model.instalments import Persistence
from harness.networks import datasets
from harness.networks.own import source
from harness.records import benchmark_json
from search.space import failure

BENCH = Path(__file__).parents[2] / "bench"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """The options that a bench run shares with the campaign that needs it. size: of the pictures, where it is not the full one."""

    device: str
    network: str
    dataset: str
    data: Path | None
    precision: str
    reports: Path
    validation_from: str = "train"
    channels: int | None = None
    max_predictor_error: float = Persistence().max_error_ratio
    input_shape: str | None = None
    resize: str | None = None
    mean: str | None = None
    std: str | None = None
    in_float: tuple[str, ...] = ()
    size: str = ""
    learn_from: str | None = None

    @property
    def folder(self) -> Path:
        """Where the device's measurements are stored."""
        return self.reports / "benchmarks" / self.device

    @property
    def stem(self) -> str:
        """Of the file's name."""
        size = f"-{self.size}" if self.size else ""
        return f"{Path(self.network.partition(':')[0]).stem}-{self.dataset.partition(':')[0]}-{self.precision}{size}"

    def options(self) -> list[str]:
        """As words of a command line."""
        words = [f"--device={self.device}", f"--network={self.network}", f"--dataset={self.dataset}", f"--precision={self.precision}"]
        words += [f"--network-copy={copied}"] if (copied := source.kept(self.network)) else []
        words += [f"--task-copy={copied}"] if (copied := source.kept(self.dataset.removeprefix(datasets.OWN))) else []
        words += [f"--data={self.data}"] if self.data else []
        words += [f"--validation-from={self.validation_from}"] if self.validation_from != "train" else []
        words += [f"--channels={self.channels}"] if self.channels else []
        words += [f"--in-float={layer}" for layer in self.in_float]
        words += [f"--learn-from={self.learn_from}"] if self.learn_from else []
        prepared = {"input-shape": self.input_shape, "resize": self.resize, "mean": self.mean, "std": self.std}
        words += [f"--{word}={text}" for word, text in prepared.items() if text is not None]
        usual = self.max_predictor_error == Persistence().max_error_ratio
        return words if usual else [*words, f"--max-predictor-error={self.max_predictor_error:g}"]


def shown(suites: Sequence[str], options: Sequence[str], path: Path) -> str:
    """The command line of a bench run, for people."""
    return shlex.join(["pytest", *(f"bench/{suite}" for suite in suites), *options, f"--benchmark-json={path}"])


def run_bench(suites: Sequence[str], path: Path, options: Sequence[str], say: Say) -> None:
    """Run suites of ``bench/`` and leave their JSON at ``path``, whole or not at all; CampaignError when they fail."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    words = [sys.executable, "-m", "pytest", *(str(BENCH / suite) for suite in suites), *options]
    words += [f"--benchmark-json={part.resolve()}", "--benchmark-quiet", "--no-header", "-q", "-c", str(BENCH.parent / "pyproject.toml")]
    words += ["--maxfail=1"]  # the first reason is the one to mend
    command = shown(suites, options, path)
    say(f"measuring: {command}")
    ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, errors="replace")
    if ended.returncode != 0 or not part.is_file() or not part.stat().st_size:
        kept = _kept(part, path)
        log = path.with_suffix(".log")
        log.write_text(ended.stdout, encoding="utf-8")
        raise CampaignError(
            f"measuring failed: {failure.reason(ended.stdout, ended.returncode)}; its whole output is in {log}{kept}; run: {command}"
        )
    part.replace(path)


def _kept(part: Path, path: Path) -> str:
    """Keep what a run measured before its device dropped, for the next one to begin with; nothing where it measured nothing."""
    try:
        measured = len(benchmark_json.read(part).measurements)
    except RecordError:
        measured = 0
    if not measured:
        part.unlink(missing_ok=True)
        return ""
    part.replace(path)
    return f", the {measured} networks that it measured are kept in {path}, and taken where they predict well enough"
