"""Finished comparisons' networks measured again on the machine at hand, beside what was published of another one.

``python -m search.experiment.elsewhere resnet20-fashion-mnist-cpu resnet56-fashion-mnist-cpu`` measures every compared network in turns and
writes ``reports/elsewhere.md``: does the chosen network stay ahead on another processor? Shapes alone are measured, in the precision and
at the size in which each was compared: trained weights and random ones take equally long.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.devices import spec
from harness.devices.measure import comparison, measure_interleaved
from harness.devices.samples import Subject
from harness.devices.session import Device
from harness.errors import HarnessError
from harness.latency.verdict.judgement import ADVISED_PAIRS, Verdict, verdicts
from harness.networks import zoo
from harness.pages import layout
from harness.pages.layout import Cell, Section
from harness.pipeline import Network, in_int8, latency_subject
from harness.quantisation.answering import as_taken
from harness.records.architecture import Architecture
from harness.records.conditions import INT8
from harness.records.measurement import Measurement
from harness.training.speed.answers import processor_facts
from search.experiment.page import ELSEWHERE
from search.records import folder as folders
from search.records.outcome import IN_INT8
from search.report import summary
from search.report.compared import Compared
from search.report.summary import Summary

TITLE = "The same networks on another machine"
OURS = ("optimised", IN_INT8, "candidate", "from-scratch")  # roles of what the search itself found, and of its shape


@dataclass(frozen=True)
class Again:
    """One compared network as published and as measured now. verdict: against the dense network, now; None for that one."""

    compared: Compared
    measurement: Measurement
    verdict: Verdict | None


def processor(facts: Mapping[str, str]) -> str:
    """The processor with its family and model: a name alone, such as AMD EPYC, is of several generations."""
    numbers = ", ".join(f"{name} {facts[key]}" for key, name in (("cpu family", "family"), ("model", "model")) if key in facts)
    return f"{facts.get('model name', platform.machine())}{f' ({numbers})' if numbers else ''}"


def subjects(told: Summary, device: str) -> list[Subject]:
    """Every compared network's shape, in the precision and at the size in which it was compared."""
    outcome, networks, found = told.outcome, dict[str, Network](), []
    options = as_taken(device, folders.read_request(told.folder).layers_in_float)
    for one in told.compared:
        contender, shape = one.contender, _shape(told.architecture, one.contender.size)
        if contender.size not in networks:
            model = zoo.build(outcome.network, shape, told.architecture.classes)
            networks[contender.size] = Network.wrap(outcome.network, model, shape, told.architecture.classes)
        subject = latency_subject(networks[contender.size], contender.config)
        found.append(replace(in_int8(subject, None, options), precision=INT8) if contender.precision == INT8 else subject)
    return found


def again(told: Summary, device: str, rounds: int) -> tuple[Again, ...]:
    """All of one finished comparison's networks, measured in turns now."""
    with Device(spec.find(device)).open() as session:
        precision = told.outcome.precision.partition(",")[0]  # of a joint search the first, in which the dense network is compared
        measured = measure_interleaved(session, subjects(told, device), comparison(rounds, ADVISED_PAIRS), precision)
    dense = next(place for place, one in enumerate(told.compared) if one.contender.role == "dense")
    others = [place for place in range(len(measured)) if place != dense]
    judged = dict(zip(others, verdicts([(measured[place].latency, measured[dense].latency) for place in others]), strict=True))
    return tuple(Again(one, measured[place], judged.get(place)) for place, one in enumerate(told.compared))


def section(told: Summary, found: Sequence[Again]) -> Section:
    """Published speed-ups beside those of now."""
    columns = ("network", "published", "against dense there", "here, median", "against dense here", "verdict here")
    chosen = next(one for one in found if one.compared.contender.role == "optimised")
    rivals = [one for one in found if one.compared.contender.role not in OURS and _keeps(one.compared, told.outcome.max_drop_points)]
    ahead = [one for one in rivals if one.measurement.latency.median_s < chosen.measurement.latency.median_s]
    names = ", ".join(one.compared.contender.name for one in ahead)
    told_ahead = f"{names} {'is' if len(ahead) == 1 else 'are'} faster here than the chosen network, and kept the limit on validation."
    winner = told_ahead if ahead else "Here, too, the chosen network is ahead of every rival that kept the limit on validation."
    text = f"{winner} Published: {told.compared[0].measurement.conditions.device.model}."
    return Section(told.outcome.name, text, columns, tuple(map(_cells, found)))


def _shape(architecture: Architecture, size: str) -> tuple[int, int, int]:
    channels, height, width = architecture.input_shape
    if size:
        height, width = map(int, size.split("x"))
    return channels, height, width


def _keeps(one: Compared, limit_points: float | None) -> bool:
    return one.validation_drop is None or limit_points is None or one.validation_drop.points <= limit_points


def _cells(one: Again) -> tuple[Cell, ...]:
    there, here = one.compared.against_dense, one.verdict
    low, high = here.times_interval if here is not None else (1.0, 1.0)
    return (
        Cell(f"{one.compared.name}"),
        Cell(f"{one.compared.latency.median_s * 1e6:.1f} µs", number=True),
        Cell("—" if there is None else f"{there.times:.2f}×", number=True),
        Cell(f"{one.measurement.latency.median_s * 1e6:.1f} µs", number=True),
        Cell("—" if here is None else f"{here.times:.2f}× ({low:.2f} to {high:.2f})", number=True),
        Cell("" if here is None else str(here.outcome)),
    )


def main(words: Sequence[str] | None = None) -> int:
    """Measure, write the page and print it; 2 for what cannot be."""
    parser = argparse.ArgumentParser(prog="python -m search.experiment.elsewhere", description=__doc__.partition("\n\n")[0])
    parser.add_argument("names", nargs="+", metavar="NAME", help="finished campaigns under reports/campaigns/")
    parser.add_argument("--device", default="cpu", help="name in the device table")
    parser.add_argument("--rounds", type=int, default=1500, help="latency samples of every network")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where campaigns are stored, and the page goes")
    asked = parser.parse_args(words)
    try:
        campaigns = [summary.load(asked.reports / "campaigns" / name) for name in asked.names]
        page = [section(told, again(told, asked.device, asked.rounds)) for told in campaigns]
        where = processor(processor_facts())
        lead = f"Measured here, in turns: {where}, {asked.device}. Shapes alone, with random weights; accuracies are as published."
        written = layout.write(asked.reports / ELSEWHERE, layout.as_markdown(TITLE, lead, page))
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"written: {written}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
