"""The words of ``pytest bench/``: every option of the harness with its default and its help."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices import spec
from harness.devices.measure import Protocol
from harness.devices.spec import DeviceSpec
from harness.errors import UsageError
from harness.files.numbers import OPTIONS, number, whole, wholes
from harness.latency.model.instalments import GOOD_ENOUGH_RATIO, Persistence
from harness.latency.model.predictor import FEWEST_NETWORKS
from harness.latency.verdict.judgement import SAME_WITHIN
from harness.networks import datasets
from harness.networks.own import source
from harness.networks.pictures import division, preparing
from harness.quantisation import calibration
from harness.runner import int8_options, naming
from harness.runner.naming import Once

DEFAULT_DEVICE, DEFAULT_NETWORK, DEFAULT_DATASET = "cpu", "resnet20", "digits"


def add(parser: pytest.Parser) -> None:
    """Register the options with pytest, in groups."""
    _add_subjects(parser.getgroup("espalier", "what is measured, and where"))
    _add_quantisation(parser.getgroup("espalier-int8", "how networks are quantised, with --precision=int8"))
    _add_sampling(parser.getgroup("espalier-sampling", "how it is sampled and judged"))
    _add_libraries(parser.getgroup("espalier-literature", "pruning libraries against the literature"))


def _add_subjects(group: pytest.OptionGroup) -> None:
    option = group.addoption
    option("--device", action="append", metavar="NAME", help=f"where to measure; may be repeated (default: {DEFAULT_DEVICE})")
    option("--network", action="append", metavar="NAME", help=f"or FILE.py:factory or FILE.onnx; repeatable (default: {DEFAULT_NETWORK})")
    option("--network-copy", type=Path, metavar="FILE", help="copy to take in place of the file that --network=FILE:factory names")
    option("--task-copy", type=Path, metavar="FILE", help="copy to take in place of the file that --dataset=task:FILE:task names")
    option("--dataset", default=DEFAULT_DATASET, help="gives the image size, the classes and the images (default: %(default)s)")
    option("--input-shape", metavar="CxHxW", help="what images are brought to, as 3x224x224 or 224x224 (default: as search decides)")
    option("--resize", metavar="HOW", help="cover, margin, or as torchvision's Resize: 256, 256x320 (default: cover)")
    option("--mean", metavar="M", help="taken from every channel, of pixels in 0 to 1: numbers, imagenet or data (default: data)")
    option("--std", metavar="S", help="that it is divided by then, told alike (default: data)")
    option("--data", type=Path, metavar="DIR", help="where the dataset lies, for those that are not installed")
    option(
        "--validation-from",
        choices=division.SOURCES,
        default=division.SOURCES[0],
        help="which split missing validation images are cut from: test for weights trained elsewhere (default: %(default)s)",
    )
    option(
        "--channels",
        type=whole,
        choices=(1, 3, 4),
        help="of the images: 1 grey, 3 RGB, 4 RGB and one more (default: the networks' or their own)",
    )
    option("--weights", type=Path, metavar="FILE", help="safetensors or state dict of the dense network")
    option("--config", type=Path, metavar="FILE", help="pruning configuration to measure instead of the dense network")
    option("--contender", action="append", default=[], metavar="NAME=FILE.onnx", help="exported network to compare; may be repeated")
    option(
        "--precision",
        default="f32",
        type=str.lower,
        action=Once,
        help="what the runtime computes in, such as f16 or int8 (default: %(default)s)",
    )
    option(
        "--batch-size", type=wholes, default=(1,), action=Once, metavar="N,...", help="images per inference, a row for each (default: 1)"
    )
    option("--threads", type=wholes, default=(), action=Once, metavar="N,...", help="of the device, each a row (default: its table's)")
    option("--streams", type=wholes, default=(), action=Once, metavar="N,...", help="inferences at once: throughput in place of latency")
    option("--compile-only", action="store_true", help="compile with the device's own compiler instead of measuring (ncs2)")
    option("--group", action="append", metavar="NAME", help="group to compile at --widths; repeat it, or all (default: the first, at few)")
    option("--set-power-mode", metavar="ID", help="nvpmodel's id, or ID+clocks for jetson_clocks too; put back at the end (jetson)")
    option("--builds", type=whole, default=1, metavar="N", help="engines to build of each network, to show the spread (jetson)")
    option(
        "--designs", type=whole, default=150, metavar="N", help="designed networks to fit the predictor on, at most (default: %(default)s)"
    )
    option(
        "--learn-from",
        metavar="FILE,...",
        help="benchmark files or campaigns with this network on another device, or in another precision, from which the predictor starts",
    )
    option("--held-out", type=whole, default=30, metavar="N", help="random networks to judge it on (default: %(default)s)")
    option(
        "--good-enough",
        type=number,
        default=GOOD_ENOUGH_RATIO,
        metavar="R",
        help="stop measuring designed networks at this mean held-out error, 0 never (default: %(default)s)",
    )
    option(
        "--max-predictor-error",
        type=number,
        default=Persistence().max_error_ratio,
        metavar="R",
        help="above this mean held-out error, designed networks are measured again (default: %(default)s)",
    )
    option(
        "--measure-on",
        type=number,
        default=Persistence().most_s,
        metavar="S",
        help="for so many seconds more at most (default: %(default)s)",
    )
    option("--criterion", default="l1", metavar="NAME", help="which channels stay in a sensitivity analysis (default: %(default)s)")
    option("--also-width", action="append", default=[], metavar="GROUP=N", help="one more width to analyse; may be repeated")
    option("--widths", type=whole, default=8, metavar="N", help="widths of each group in a staircase, spread evenly (default: %(default)s)")
    option(
        "--store",
        type=Path,
        default=Path("reports/benchmarks"),
        metavar="DIR",
        help="where measured widths are kept (default: %(default)s)",
    )


def _add_quantisation(group: pytest.OptionGroup) -> None:
    option = group.addoption
    option("--calibration", type=whole, metavar="N", help=f"training images that scales are read off (default: {calibration.IMAGES})")
    option("--asymmetric", action="store_true", help="activations with a zero point of their own (not on TensorRT)")
    option("--per-tensor", action="store_true", help="one scale for all filters of a layer's weights")
    option("--full-bias-correction", action="store_true", help="correct biases layer after layer, which takes minutes")
    option("--in-float", action="append", default=[], metavar="LAYERS", help="stay in float, by comma, as conv1,layer1.0.conv2; repeatable")
    option(
        "--int8-max-drop",
        type=number,
        metavar="P",
        help="in test_accuracy.py: leave the fewest layers in float by which INT8 loses at most P points of validation accuracy",
    )


def _add_sampling(group: pytest.OptionGroup) -> None:
    option = group.addoption
    option("--rounds", type=whole, metavar="N", help="samples of each network (default: 500; 1500 in comparisons, 300 of designed ones)")
    option("--min-time", type=number, metavar="S", help="least seconds to sample each network for (default: 1)")
    option("--precision-target", type=number, metavar="R", help="stop when the median is known within this ratio (default: 0.01)")
    option("--pace", type=number, metavar="HZ", help="inferences started a second, as by a camera (default: a tight loop)")
    option("--sustained", type=number, default=0.0, metavar="S", help="keep the device busy for that long and show how it holds")
    option("--max-noise", type=number, metavar="R", help="fail when the blocks of a network differ by more than this ratio")
    option("--baseline", type=Path, metavar="FILE", help="benchmark file of an earlier run that must not have been faster")
    option("--against", type=Path, metavar="MODEL.onnx", help="network that the measured one must not be slower than")
    option(
        "--allow-different",
        action="append",
        default=[],
        metavar="KEYS",
        help="conditions that may differ from the baseline's, by comma, as host or configuration; recorded beside the verdict",
    )
    option("--gate-junit", type=Path, metavar="FILE", help="the gate's table as JUnit's XML")
    option("--gate-markdown", type=Path, metavar="FILE", help="the gate's table as Markdown")
    option("--tell-only", action="store_true", help="tell what is beyond a limit, and fail nothing for it")
    option("--same-within", type=number, default=SAME_WITHIN, metavar="R", help="smaller differences are none (default: %(default)s)")
    option("--strict-verdict", action="store_true", help="fail also when a slowdown beyond the limit cannot be ruled out")


def _add_libraries(group: pytest.OptionGroup) -> None:
    option = group.addoption
    option(
        "--distiller", metavar="PATH", help="checkout of IntelLabs Distiller to verify live (default: DISTILLER_HOME, or an installed one)"
    )
    option("--record-distiller", action="store_true", help="write a new recording of Distiller's outcomes to tests/literature/recorded")
    option(
        "--distiller-python",
        metavar="PYTHON",
        help="with --record-distiller: the interpreter to record in, such as a Python 3.7 with torch 1.3.1 (default: this one)",
    )


def device_names(config: pytest.Config) -> list[str]:
    """The devices of this run, each once."""
    return list(dict.fromkeys(config.getoption("--device") or [DEFAULT_DEVICE]))


def device_spec(config: pytest.Config, name: str, threads: int = 0) -> DeviceSpec:
    """A device's specification with what the options change of it; UnknownName when there is no such device."""
    found = spec.find(name)
    if threads:
        found = found.with_options(threads=threads)
    if config.getoption("--compile-only"):
        found = found.with_options(compile_only=True)
    mode = config.getoption("--set-power-mode")
    if mode is not None:
        if found.runtime not in ("trtexec", "tensorrt"):
            raise UsageError(f"--set-power-mode={mode}: device {name} has no power modes; give it for a Jetson only")
        found = found.with_options(set_power_mode=mode)
    builds = config.getoption("--builds")
    return found.with_options(builds=builds) if builds > 1 else found


def network_names(config: pytest.Config) -> list[str]:
    """The networks of this run, each once."""
    return list(dict.fromkeys(config.getoption("--network") or [DEFAULT_NETWORK]))


def input_shape(config: pytest.Config) -> tuple[int | None, int, int] | None:
    """Channels (None: the images' own) x height x width that ``--input-shape`` gives, or None; UsageError for anything else."""
    text = config.getoption("--input-shape")
    return None if text is None else preparing.parsed_shape(str(text))


def protocol(config: pytest.Config) -> Protocol:
    """How to sample; UsageError for a number that makes no sense."""
    given = {
        "rounds": config.getoption("--rounds"),
        "min_time_s": config.getoption("--min-time"),
        "precision_target": config.getoption("--precision-target"),
        "pace_hz": config.getoption("--pace"),
        "sustained_s": config.getoption("--sustained"),
    }
    return Protocol(**{key: number for key, number in given.items() if number is not None})


def unless_disabled(config: pytest.Config, asked: Protocol) -> Protocol:
    """The protocol; with ``--benchmark-disable`` one inference of each network, to see that it runs, with nothing to judge."""
    if not config.getoption("benchmark_disable", False):
        return asked
    once = Protocol(0.0, 0, rounds=1, min_time_s=0.0, blocks=1, precision_target=None, turn_warmup_rounds=0)
    return replace(once, profile_compiles=min(1, asked.profile_compiles), pace_hz=asked.pace_hz)


def contenders(config: pytest.Config) -> list[tuple[str, Path]]:
    """``(name, file)`` of the networks to compare; UsageError for a file that does not exist."""
    pairs = []
    for text in config.getoption("--contender"):
        name, _, path = text.partition("=")
        if not name or not Path(path).is_file():
            raise UsageError(f"--contender={text}: give NAME=FILE.onnx with a file that exists")
        pairs.append((name, Path(path)))
    return pairs


def also_widths(config: pytest.Config) -> dict[str, int]:
    """Group to one more width that a sensitivity analysis looks at; UsageError for what is no such pair."""
    found = {}
    for text in config.getoption("--also-width"):
        name, _, width = text.partition("=")
        if not name or not width.isdecimal():
            raise UsageError(f"--also-width={text}: give GROUP=CHANNELS, as in layer1.0.conv1=12")
        found[name] = int(width)
    return found


def check(config: pytest.Config) -> None:
    """Refuse, with UsageError, what no run could use; make the folder that --benchmark-json names."""
    naming.check_once(config)
    protocol(config)
    contenders(config)
    input_shape(config)
    also_widths(config)
    int8_options.check(config, [device_spec(config, name) for name in device_names(config)])
    for name in network_names(config):
        if config.getoption("--network-copy"):
            source.keep_to(name, config.getoption("--network-copy"))
        source.named_by_user(name)
    if config.getoption("--task-copy"):
        source.keep_to(str(config.getoption("--dataset")).removeprefix(datasets.OWN), config.getoption("--task-copy"))
    if str(config.getoption("--dataset")).startswith(datasets.OWN):
        source.named_by_user(str(config.getoption("--dataset")).removeprefix(datasets.OWN))
    if config.getoption("--distiller-python") and not config.getoption("--record-distiller"):
        raise UsageError("--distiller-python says where to record; give --record-distiller with it")
    if config.getoption("--designs") < FEWEST_NETWORKS and not config.getoption("--learn-from"):
        raise UsageError(
            f"--designs={config.getoption('--designs')}: fewer than {FEWEST_NETWORKS} tell nothing alone; give --learn-from too"
        )
    for name, allowed in OPTIONS.items():
        given = config.getoption(f"--{name}", None)
        for one in given if isinstance(given, tuple) else (given,):
            if isinstance(one, int | float) and not allowed.holds(one):
                raise UsageError(f"--{name}={one}: give {allowed.words}")
    if config.getoption("--compile-only") and config.getoption("--batch-size") != (1,):
        raise UsageError("--compile-only with --batch-size: networks are compiled for one image at a time; leave --batch-size out")
    for option in ("--baseline", "--against"):
        path = config.getoption(option)
        if path is not None and not path.is_file():
            raise UsageError(f"{option}={path}: there is no such file; give one that exists")
        if path is not None and config.getoption("benchmark_disable", False):
            raise UsageError(f"{option} with --benchmark-disable: nothing is measured that could be judged; leave one of them out")
    _make_room(config.getoption("benchmark_json", None))


def _make_room(file: Path | None) -> None:
    """The folder of the file that pytest-benchmark writes at the end; UsageError, before anything is measured, when it cannot be made."""
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"{file.parent} is no folder" if isinstance(error, (FileExistsError, NotADirectoryError)) else error.strerror
        raise UsageError(f"--benchmark-json={file}: {why}; give a file that can be written") from error
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UsageError(f"--benchmark-json={file}: {'is a folder' if file.is_dir() else 'is protected'}; give a file that can be written")
