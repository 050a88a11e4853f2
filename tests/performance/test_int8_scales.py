"""Latency in INT8 does not depend on what the scales are: one network, calibrated, quantised from noise, and laid over another's places.

``pytest tests/performance/test_int8_scales.py --benchmark-only -s`` measures for long and prints the verdicts; else the way is walked.
"""

import os
from dataclasses import replace

from pytest_benchmark.fixture import BenchmarkFixture

from harness.devices.measure import comparison, measure_interleaved
from harness.devices.session import Device, Quarantine
from harness.devices.spec import find
from harness.latency.verdict.judgement import ADVISED_PAIRS, compare
from harness.networks import datasets
from harness.pipeline import Network, in_int8, latency_subject
from harness.quantisation import calibration


def test_latency_of_other_scales(benchmark: BenchmarkFixture, judged: bool) -> None:
    dataset = datasets.load("digits")
    network = Network.by_name("resnet20", dataset)
    thin, dense = (latency_subject(network, config) for config in (network.architecture.uniform(0.5), network.architecture.dense()))
    in_int8(thin, None)  # where INT8 lies is known from another network's places then
    subjects = [in_int8(dense, calibration.of(dataset, 300)), in_int8(dense, calibration.of(dataset, 1)), in_int8(dense, None)]
    assert len({subject.artefact_digest for subject in subjects}) == 3
    place = find("cpu") if judged else replace(find("cpu"), resource=f"test-int8-scales-{os.getpid()}")
    protocol = replace(comparison(1500 if judged else 20, ADVISED_PAIRS if judged else 4), profile_compiles=0)
    protocol = protocol if judged else replace(protocol, loads=2, quiet_pairs=0)
    with Device(place, Quarantine()).open() as session:
        words = (session, subjects, protocol, "int8")
        calibrated, one_image, laid_over = benchmark.pedantic(measure_interleaved, args=words, rounds=1, iterations=1)
    for name, found in (("scales of one image", one_image), ("another network's scales", laid_over)):
        print(f"\n{name} against calibrated ones, resnet20 in INT8: {compare(found, calibrated).sentence()}")
    assert {found.conditions.effective_precision for found in (calibrated, one_image, laid_over)} == {"int8"}
