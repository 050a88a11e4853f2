"""Records of several devices as tables side by side: who they are, in which state they were, what they measured and compiled.

A table holds one kind of number. Measured and simulated latencies, and compiled costs, never stand in the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.errors import RecordError
from harness.latency.verdict import energy
from harness.pages.layout import Cell, Section
from harness.pages.tables import duration, interval, label
from harness.records.accuracy import Accuracy, DeviceAccuracy
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation
from harness.records.conditions import Conditions, DeviceInfo
from harness.records.measurement import Measurement
from harness.records.metric import Metric

SIMULATED = "SIMULATED"
NAMED_GROUPS = 2  # narrowed in a compiled network; more are told by the configuration's digest
NONE = Cell("–", number=True)
HIDDEN_ROLES = ("design", "held-out", "staircase")  # measured by the hundred


def sections(file: BenchmarkFile) -> tuple[Section, ...]:
    """Everything that ``file`` tells of its devices; RecordError when it tells nothing."""
    found = [*_identities(file), *_conditions(file.measurements)]
    for kind in ("measured", SIMULATED):
        ours = [m for m in file.measurements if m.provenance == kind]
        if ours:
            found += [whole_networks(ours), *energies(ours), *layer_tables(ours, file)]
    if file.compilations:
        found.append(compiled(file))
    if file.accuracies:
        found.append(accuracies(file.accuracies))
    if not found:
        raise RecordError("nothing measured, compiled or judged is in these files; measure first: pytest bench/ --benchmark-json=FILE")
    return tuple(found)


def whole_networks(measurements: Sequence[Measurement]) -> Section:
    """Latency of whole networks, a column per device; RecordError when measured and simulated ones are mixed."""
    kind = _one_kind(measurements)
    shown = [m for m in measurements if m.role not in HIDDEN_ROLES]
    places = _places(shown)
    rows = []
    for name in dict.fromkeys(label(m) for m in shown):
        cells = [_latest([m for m in shown if label(m) == name and _place(m) == place]) for place in places]
        rows.append((Cell(name), *cells))
    hidden = len(measurements) - len(shown)
    text = "Median of single inferences, its 95 % interval and the samples behind it; unprofiled."
    text += "" if _metered(shown) else f" Energy: {energy.NO_METER}."
    text += f" {hidden} more networks were measured to fit and judge the latency model, or to find staircases." if hidden else ""
    return Section(_title("Whole networks", kind), text, ("network", *places), tuple(rows), _warning(kind))


def energies(measurements: Sequence[Measurement]) -> list[Section]:
    """Energy of an inference, a column per device; nothing where none has a meter, which ``whole_networks`` says.

    RecordError when measured and simulated ones are mixed.
    """
    kind, shown = _one_kind(measurements), [m for m in measurements if m.role not in HIDDEN_ROLES]
    if not (metered := _metered(shown)):
        return []
    places, rows = _places(shown), []
    for name in dict.fromkeys(label(m) for m in metered):
        rows.append((Cell(name), *(_energy([m for m in shown if label(m) == name and _place(m) == place]) for place in places)))
    meters = dict.fromkeys(dict(m.conditions.device.details).get("energy meter", "") for m in metered)
    text = "Of an inference, with its 95 % interval; what the machine draws idle is not subtracted."
    text += f" By {', '.join(filter(None, meters))}." if any(meters) else ""
    return [Section(_title("Energy", kind), text, ("network", *places), tuple(rows), _warning(kind))]


def layer_tables(measurements: Sequence[Measurement], file: BenchmarkFile) -> list[Section]:
    """Per network a table of its layers, a column per device; RecordError when measured and simulated ones are mixed."""
    kind = _one_kind(measurements)
    profiled = [m for m in measurements if m.layers]
    found = []
    for name in dict.fromkeys(label(m) for m in profiled):
        ours = [m for m in profiled if label(m) == name]
        places = _places(ours)
        latest = [max((m for m in ours if _place(m) == place), key=_taken) for place in places]
        architecture = next((a for a in file.architectures if a.digest == ours[0].architecture_digest), None)
        names = [site.name for site in architecture.layers] if architecture else _layer_names(latest)
        rows = [(Cell(layer), *(_layer(m, layer) for m in latest)) for layer in names]
        rows.append((Cell("belongs to no layer"), *(_unattributed(m) for m in latest)))
        rows.append((Cell("whole network"), *(Cell(duration(m.latency.median_s), "unprofiled", True) for m in latest)))
        text = "Medians over profiled runs; a layer that a device fuses into another has its time there. Profiling slows the whole."
        found.append(Section(_title(f"Layers of {name}", kind), text, ("layer", *places), tuple(rows), _warning(kind)))
    return found


def compiled(file: BenchmarkFile) -> Section:
    """What compilers made of networks that were not run."""
    architectures = {architecture.digest: architecture for architecture in file.architectures}
    rows = []
    for one in dict.fromkeys(file.compilations):
        counts = (one.cost, one.executed_count, one.hardware_count, one.copies, one.blob_bytes)
        rows.append(
            (
                Cell(_compiled_name(one, architectures.get(one.architecture_digest))),
                Cell(one.device.name),
                *(Cell(str(count), number=True) for count in counts),
            )
        )
    text = "Nothing ran: cost is the compiler's own estimate in its own unit, no duration, and compares only with the same compiler's."
    columns = ("network", "device", "compiler's cost", "stages run", "in hardware", "copies", "blob bytes")
    return Section("Compiled, not measured", text, columns, tuple(rows))


def accuracies(found: Sequence[DeviceAccuracy]) -> Section:
    """Accuracy answered by the devices themselves, and what is lost against the host's f32."""
    rows = []
    for one in dict.fromkeys(found):
        host = NONE if one.on_host is None else _share(one.on_host, one.metric)
        lost = NONE
        if one.on_host is not None:
            lost = Cell(f"{100 * (one.on_host.top1_ratio - one.on_device.top1_ratio):+.2f}", number=True)
        agreed = NONE if one.agreement_ratio is None else Cell(f"{one.agreement_ratio:.2%}", number=True)
        furthest = NONE if one.largest_difference is None else Cell(f"{one.largest_difference:.3g}", number=True)
        where = Cell(f"{one.device}, {one.effective_precision}", f"{one.dataset}, {one.split} split")
        rows.append((Cell(one.network), where, _share(one.on_device, one.metric), host, lost, agreed, furthest))
    names = "/".join(dict.fromkeys(one.metric.name for one in found))
    columns = ("network", "device", f"{names} there", f"{names} on the host, f32", "points lost", "same answer", "largest logit difference")
    text = "The exported network answered every image on the device; 95 % intervals after Wilson, of other metrics by resampling images."
    return Section("Accuracy on the device", text, columns, tuple(rows))


def _identities(file: BenchmarkFile) -> list[Section]:
    told_by = [(m.conditions.device, m.provenance) for m in file.measurements]
    told_by += [(one.device, one.provenance) for one in file.compilations]
    if not told_by:
        return []
    rows = []
    for key, info in {_identity(info): info for info, _ in told_by}.items():
        told = ", ".join(sorted({kind for other, kind in told_by if _identity(other) == key}))
        details = "; ".join(f"{name} {text}" for name, text in info.details)
        rows.append((Cell(info.name), Cell(told), Cell(info.model, details), Cell(f"{info.runtime} {info.runtime_version}"), _host(info)))
    return [Section("Devices", "As they describe themselves.", ("device", "kind", "model", "runtime", "host"), tuple(rows))]


def _conditions(measurements: Sequence[Measurement]) -> list[Section]:
    latest: dict[tuple[tuple[str, str], ...], Measurement] = {}
    for one in sorted(measurements, key=_taken):
        latest[one.conditions.fingerprint()] = one
    if not latest:
        return []
    rows = []
    for one in latest.values():
        state = one.conditions
        precision = Cell(state.effective_precision, "" if state.precision == state.effective_precision else f"{state.precision} asked for")
        counts = Cell(f"threads {state.threads}, streams {state.streams}, batch size {state.batch_size}")
        notes = Cell("; ".join(f"{name}: {text}" for name, text in one.notes if name not in ("contender", "interleaved", "warm-up")) or "–")
        rows.append((Cell(_place(one)), precision, counts, _state(state), notes))
    text = "Of the latest measurement under each set of conditions, before → after; measurements under different ones are not compared."
    return [Section("Conditions", text, ("device", "precision", "configuration", "state of the device", "noted"), tuple(rows))]


def _state(state: Conditions) -> Cell:
    told = []
    for name, pick, unit in (("clock", "clocks_mhz", "MHz"), ("temperature", "temperatures_c", "°C"), ("power", "power_w", "W")):
        before, after = dict(getattr(state.before, pick)), dict(getattr(state.after, pick))
        hottest = max(after, key=lambda key: after[key], default=None)
        if hottest is not None:
            told.append(f"{name} {hottest} {before.get(hottest, after[hottest]):.4g} → {after[hottest]:.4g} {unit}")
    if state.before.power_mode:
        told.append(f"power mode {state.before.power_mode}")
    if state.before.throttle_events is not None and state.after.throttle_events is not None:
        told.append(f"throttled {state.after.throttle_events - state.before.throttle_events} times")
    elif state.throttled:
        told.append(f"throttled: {state.throttling}")
    return Cell("; ".join(told) or "not told")


def _latest(found: Sequence[Measurement]) -> Cell:
    if not found:
        return NONE
    one = max(found, key=lambda m: (not m.layers, _taken(m)))  # unprofiled suites sample longer
    told = f"{interval(one.latency)}, {len(one.latency.samples_s)} samples"
    return Cell(duration(one.latency.median_s), told + (f"; noisy: {'; '.join(one.noise)}" if one.noise else ""), True)


def _metered(measurements: Iterable[Measurement]) -> list[Measurement]:
    return [m for m in measurements if energy.per_inference(m.latency) is not None]


def _energy(found: Sequence[Measurement]) -> Cell:
    """Of the latest that was metered: an older one under the same conditions may have had a meter where the latest could not read it."""
    if not found:
        return NONE
    metered = _metered(found)
    if not metered:
        return Cell(energy.NO_METER, number=True)
    told = energy.per_inference(max(metered, key=lambda m: (not m.layers, _taken(m))).latency)
    return NONE if told is None else Cell(told.figure, told.interval, True)


def _layer(measurement: Measurement, layer: str) -> Cell:
    nodes = [node for node in measurement.layers if layer in node.source_layers]
    own = [node for node in nodes if node.source_layers[0] == layer]
    if own:
        fused = [name for node in own for name in node.source_layers[1:]]
        seconds = sum(node.median_s for node in own)
        return Cell(duration(seconds), f"with {', '.join(fused)}" if fused else "", True)
    return Cell(f"in {nodes[0].source_layers[0]}", number=True) if nodes else NONE


def _unattributed(measurement: Measurement) -> Cell:
    nodes = [node for node in measurement.layers if not node.source_layers]
    return Cell(duration(sum(node.median_s for node in nodes)), f"{len(nodes)} nodes", True) if nodes else NONE


def _layer_names(measurements: Iterable[Measurement]) -> list[str]:
    return list(dict.fromkeys(name for m in measurements for node in m.layers for name in node.source_layers))


def _one_kind(measurements: Sequence[Measurement]) -> str:
    kinds = sorted({m.provenance for m in measurements})
    if len(kinds) != 1:
        raise RecordError(f"a table of {' and '.join(kinds) or 'no'} latencies is refused; make one of each kind")
    return kinds[0]


def _places(measurements: Iterable[Measurement]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_place(m) for m in measurements))


def _place(measurement: Measurement) -> str:
    """The device and what it computes in; simulated ones are told apart wherever they appear."""
    conditions = measurement.conditions
    mark = f" {SIMULATED}" if measurement.provenance == SIMULATED else ""
    batch = f", batch of {conditions.batch_size}" if conditions.batch_size > 1 else ""
    return f"{conditions.device.name}{mark}, {conditions.effective_precision}{batch}"


def _identity(info: DeviceInfo) -> tuple[str, ...]:
    return (info.name, info.model, info.runtime, info.runtime_version, info.host)


def _host(info: DeviceInfo) -> Cell:
    return Cell(info.host, f"Python {info.python}")


def _taken(measurement: Measurement) -> str:
    return measurement.conditions.before.taken_at


def _title(what: str, kind: str) -> str:
    return f"{what} ({kind})"


def _warning(kind: str) -> str:
    return f"{SIMULATED}: computed by a model of a device, not measured on one." if kind == SIMULATED else ""


def _share(found: Accuracy, metric: Metric) -> Cell:
    low, high = found.interval_ratio
    between = f"{low:.1%}–{high:.1%}" if metric.is_share and metric.better_is_higher else metric.between(low, high)
    return Cell(metric.told(found.top1_ratio), f"{between}, {found.told}", True)


def _compiled_name(one: Compilation, architecture: Architecture | None) -> str:
    """The network, and which groups are narrowed where they are few."""
    if one.config is None:
        return one.network
    kept = dict(one.config.channels)
    changed = [group for group in architecture.groups if kept[group.name] != group.channels] if architecture else None
    if changed is None or len(changed) > NAMED_GROUPS:
        return f"{one.network} {one.config.digest[:6]}"
    return ", ".join([one.network, *(f"{group.name} {kept[group.name]} of {group.channels}" for group in changed)])
