"""A made-up campaign, written by the real writers in a second: to work on the report without waiting for a search.

``python -m search.race.rehearsal FOLDER`` leaves such a campaign, with its report, in FOLDER. Its device is SIMULATED and says so.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.latency.model import design
from harness.records import benchmark_json
from harness.records.accuracy import Accuracy, DeviceAccuracy
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.layer import ConvShape, LayerShape
from harness.records.measurement import Latency, LayerLatency, Measurement
from harness.records.pruning_config import PruningConfig
from search.race.rehearsed_network import architecture
from search.records import outcome
from search.records.journal import Header, Journal
from search.records.outcome import Contender, Outcome, Repeat
from search.records.trial import MODEL, SEED, Trial, TrialOutcome, TrialRequest, TuningChoice

_S_PER_MAC, _S_PER_LAYER, _S_CONSTANT = 9e-12, 3e-6, 12e-6  # like a small processor's
_ALIGNED = 8  # widths are paid for in steps of this
_BLOCK_SAMPLES = 60


@dataclass(frozen=True)
class Rehearsal:
    """What to make up. held_out: 0 leaves the predictor's error unknown. simulated: False only where a test needs it.

    seeds: fine-tunings of every compared network. rivals: random search and the shape trained from nothing are compared too.
    measured_blocks: of every latency.
    """

    seed: int = 0
    blocks: int = 3
    trials: int = 40
    designs: int = 60
    held_out: int = 20
    published: bool = True
    profiled: bool = True
    on_device: bool = True
    removes: bool = True
    simulated: bool = True
    seeds: int = 1
    rivals: bool = False
    measured_blocks: int = 10
    network: str = "resnet20"


def write(folder: Path, rehearsal: Rehearsal = Rehearsal()) -> Path:
    """Write every file that a finished campaign leaves in ``folder``; existing ones are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    _World(rehearsal).write(folder)
    return folder


class _World:
    """A machine and a dataset that answer by formula, with noise from one generator."""

    def __init__(self, told: Rehearsal) -> None:
        self.told, self.rng = told, np.random.default_rng(told.seed)
        self.architecture = architecture(told.network, told.blocks)
        self.sensitivity = {group.name: float(self.rng.gamma(2.0, 0.5)) for group in self.architecture.groups}

    def write(self, folder: Path) -> None:
        designs = design.design(self.architecture, self.told.designs, 0)
        spare = design.held_out(self.architecture, self.told.held_out, 0) if self.told.held_out else ()
        stored = [self.measured(config, "design") for config in designs] + [self.measured(config, "held-out") for config in spare]
        self._benchmark_file(folder / outcome.MEASUREMENTS, stored)
        for left in ("journal.jsonl", "journal.lock"):
            (folder / left).unlink(missing_ok=True)
        self._journal(folder)
        contenders = self._contenders()
        proof = [self.measured(contender.config, "network", contender.artefact_digest, contender.name) for contender in contenders]
        answers = [self._answer(contender) for contender in contenders] if self.told.on_device else []
        self._benchmark_file(folder / outcome.PROOF, proof, answers)
        outcome.write(folder, self._outcome(folder.name, contenders))

    def layer_s(self, shape: LayerShape) -> float:
        if not isinstance(shape, ConvShape):
            return _S_PER_LAYER
        paid = -(-shape.out_channels // _ALIGNED) * _ALIGNED / shape.out_channels
        return _S_PER_LAYER + _S_PER_MAC * shape.macs * paid + 2.5e-11 * shape.traffic_bytes()

    def seconds(self, config: PruningConfig) -> float:
        return _S_CONSTANT + sum(self.layer_s(shape) for shape in self.architecture.shapes(config).values())

    def measured(self, config: PruningConfig, role: str, artefact: str = "", label: str = "") -> Measurement:
        count = self.told.measured_blocks
        blocks = np.repeat(self.rng.normal(1, 0.0012, count), _BLOCK_SAMPLES)
        noise = np.exp(np.abs(self.rng.normal(0, 0.004, blocks.size))) * blocks
        burst = self.rng.random(blocks.size) < 0.004
        samples = self.seconds(config) * noise * np.where(burst, 1.8, 1.0)
        latency = Latency(
            tuple(float(s) for s in samples.round(9)), (_BLOCK_SAMPLES,) * count, tuple(int(i) for i in np.flatnonzero(burst))
        )
        profiled = role == "network" and self.told.profiled
        return Measurement(
            network=self.told.network,
            architecture_digest=self.architecture.digest,
            config=None if artefact else config,
            artefact_digest=artefact or hashlib.sha256(config.canonical.encode()).hexdigest(),
            artefact_bytes=40_000 + 5 * self.architecture.macs(config) // 200,
            latency=latency,
            conditions=self._conditions(),
            load_s=0.11,
            first_inference_s=4 * self.seconds(config),
            peak_memory_bytes=86_000_000,
            layers=self._layers(config) if profiled else (),
            profiled=latency if profiled else None,
            role=role,
            notes=(("contender", label),) if label else (),
        )

    def _layers(self, config: PruningConfig) -> tuple[LayerLatency, ...]:
        nodes = [LayerLatency("reorder", (), "Reorder", self._runs(2e-6))]
        for name, shape in self.architecture.shapes(config).items():
            nodes.append(LayerLatency(f"/{name}", (name,), "Convolution", self._runs(self.layer_s(shape)), 0))
        return (*nodes, LayerLatency("/avgpool", (), "Pooling", self._runs(3e-6)))

    def _runs(self, seconds: float) -> tuple[float, ...]:
        return tuple(round(seconds * f, 9) for f in self.rng.normal(1, 0.01, 3))

    def _conditions(self) -> Conditions:
        device = DeviceInfo(
            name="cpu",
            runtime="simulated" if self.told.simulated else "openvino",
            runtime_version="2026.4.1",
            model="Example CPU @ 2.0 GHz",
            host="example",
            python="3.11.7",
            simulated=self.told.simulated,
        )
        versions = (("espalier", "0.1.0"), ("openvino", "2026.4.1"), ("python", "3.11.7"), ("torch", "2.13.0"))
        before = Snapshot("2026-11-23T10:00:00+00:00", (("cpu0", 2000.0),), (("package", 51.0),), governor="performance", load_average=0.4)
        after = replace(before, taken_at="2026-11-23T10:00:20+00:00", load_average=1.1, temperatures_c=(("package", 58.0),))
        return Conditions(device, "f32", "f32", 1, 1, 1, before, after, versions, "0123abc")

    def _top1(self, config: PruningConfig) -> float:
        lost = 0.0
        for group in self.architecture.groups:
            lost += self.sensitivity[group.name] * (1 - config.kept(group.name) / group.channels) ** 2.2
        return float(np.clip(0.979 - 0.0042 * lost, 0.1, 1.0))

    def _accuracy(self, config: PruningConfig, images: int) -> Accuracy:
        likely = images * self._top1(config) + self.rng.normal(0, 1.2)  # less than binomial: all networks see the same images
        return Accuracy(int(np.clip(likely, 0, images)), images)

    def _configs(self) -> list[PruningConfig]:
        """The dense network, then mutations that cut more and more, as a search would."""
        found = [self.architecture.dense(), self.architecture.uniform(0.75), self.architecture.uniform(0.5)]
        for place in range(max(0, self.told.trials - 3)):
            boldness = 0.1 + 0.8 * self.rng.random() * min(1.0, 0.3 + place / self.told.trials)
            kept = {}
            for group in self.architecture.groups:
                cut = boldness * self.rng.random() * (1.3 if group.removable else 0.6) / (0.3 + 0.7 * self.sensitivity[group.name])
                gone = self.told.removes and group.removable and self.rng.random() < 0.4 * boldness / (0.3 + self.sensitivity[group.name])
                kept[group.name] = 0 if gone else max(4, int(group.channels * (1 - min(cut, 0.8))) // 4 * 4)
            found.append(PruningConfig.of(self.told.network, kept))
        return found[: self.told.trials]

    def _journal(self, folder: Path) -> None:
        header = Header(folder.name, self.told.seed, "drop <= 1", "made up", "space", self.architecture.digest, "m", "a")
        journal = Journal.create(folder, header)
        reference, elapsed = 0.979, 0.0
        for number, config in enumerate(self._configs()):
            origin = ("dense", "uniform 75 %", "uniform 50 %")[number] if number < 3 else "surrogate"
            budget = 0.0 if number % 6 == 5 else 2.0
            request = TrialRequest(number, SEED if number < 3 else MODEL, origin, config, TuningChoice(), budget, self.told.seed)
            accuracy = self._accuracy(config, 359)
            lost = 100 * (reference - accuracy.top1_ratio) + (1.5 if budget == 0 else 0.0)
            top1 = reference - lost / 100
            low, high = (bound - accuracy.top1_ratio + top1 for bound in accuracy.interval_ratio)
            found = TrialOutcome(top1, low, high, lost, 0.2, 2.5, 0.1)
            if number == 7:
                found = TrialOutcome.crashed("the loss was not a number after epoch 1", 1.2)
            journal.started(request, elapsed)
            elapsed += 3.0
            journal.finished(Trial(request, found, self.seconds(config), 0.06), elapsed)
        journal.stopped(f"all {self.told.trials} trials done", elapsed)
        journal.close()

    def _contenders(self) -> tuple[Contender, ...]:
        dense = self.architecture.dense()
        able = [c for c in self._configs() if self._top1(dense) - self._top1(c) < 0.012]
        best = sorted(able, key=self.seconds)[:3]
        entered = [("dense", "dense", dense, "")]
        if self.told.published:
            halves = {name: kept // 2 for name, kept in dense.channels if name.startswith("layer2")}
            entered.append(("agp", "off-the-shelf", self.architecture.partial(halves), "Zhu and Gupta 2017, layer2 to half"))
        entered.append(("uniform", "uniform", self.architecture.uniform(0.62), ""))
        entered += [("optimised", "optimised", best[0], "")]
        entered += [(f"optimised-{place}", "candidate", config, "") for place, config in enumerate(best[1:], start=2)]
        if self.told.rivals:
            entered.append(("random", "random", self.architecture.uniform(0.8), "random search, equal trials"))
            entered.append(("global-magnitude", "global-pruning", self.architecture.uniform(0.6), ""))
            entered.append(("from-scratch", "from-scratch", best[0], "the optimised shape, trained from nothing"))
        return tuple(
            Contender(
                name=name,
                role=role,
                config=config,
                macs=self.architecture.macs(config),
                parameters=sum(shape.weight_count for shape in self.architecture.shapes(config).values()),
                validation=validation,
                test=test,
                artefact_digest=hashlib.sha256((name + config.canonical).encode()).hexdigest(),
                onnx=f"contenders/{name}.onnx",
                source=source,
                repeats=(Repeat(0, validation, test), *self._repeats(config)),
            )
            for name, role, config, source in entered
            for validation, test in [(self._accuracy(config, 359), self._accuracy(config, 360))]
        )

    def _repeats(self, config: PruningConfig) -> list[Repeat]:
        return [Repeat(seed, self._accuracy(config, 359), self._accuracy(config, 360)) for seed in range(1, self.told.seeds)]

    def _answer(self, contender: Contender) -> DeviceAccuracy:
        test = contender.test
        return DeviceAccuracy(contender.artefact_digest, self.told.network, "cpu", "f32", "digits", "d" * 64, "test", test, test, 1.0, 3e-6)

    def _outcome(self, name: str, contenders: tuple[Contender, ...]) -> Outcome:
        return Outcome(
            name=name,
            command=f"python -m search run --network={self.told.network} --trials={self.told.trials} --name={name}",
            network=self.told.network,
            dataset="digits",
            device="cpu",
            precision="f32",
            max_drop_points=1.0,
            max_latency_s=None,
            settings=(("--device", "cpu"), ("--network", self.told.network), ("--dataset", "digits"), ("--trials", str(self.told.trials))),
            split_sizes=(1078, 359, 360),
            proof_recipe="12 epochs, learning rate 0.02, distilled from dense",
            contenders=contenders,
            seconds=(
                ("train the dense network", 41.0),
                ("measure", 24.5),
                ("search", 121.0),
                ("tune the contenders", 74.0),
                ("prove on the device", 19.5),
            ),
            finished_at="2026-11-23T10:05:00+00:00",
        )

    def _benchmark_file(self, path: Path, measurements: Sequence[Measurement], answers: Sequence[DeviceAccuracy] = ()) -> None:
        entries = [
            {"name": f"network-{i}", "extra_info": benchmark_json.extra_info(m), "stats": {"data": list(m.latency.samples_s)}}
            for i, m in enumerate(measurements)
        ]
        path.write_text(json.dumps({"benchmarks": entries, **benchmark_json.top_level([self.architecture], answers)}))


def main(words: Sequence[str]) -> int:
    """The command line: one argument, the folder."""
    from search.report import report, summary  # only here: the report needs no rehearsal

    if len(words) != 1:
        print("give the folder to write to: python -m search.race.rehearsal FOLDER", file=sys.stderr)
        return 2
    print(*report.write(summary.load(write(Path(words[0])))), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
