"""The best rates that layers reach on a device: its roofs, against which every other layer is judged."""

from harness.latency.explanation import ledger, roof
from harness.networks import roof_probe
from harness.pipeline import Network, latency_subject
from harness.runner import subjects


def test_roof(device, measure, record, collected, batch_size):
    """A probing network, profiled: its fastest layer in multiply-accumulates, and its fastest in bytes."""
    probe = Network.wrap(roof_probe.NAME, roof_probe.probe(), roof_probe.INPUT_SHAPE, roof_probe.CLASSES)
    collected.architectures.append(probe.architecture)
    dense = probe.architecture.dense()
    measurement = measure(device, latency_subject(probe, dense, batch_size=batch_size))
    record(measurement)
    subjects.check_nodes(device, measurement)
    balanced = ledger.balance(measurement, probe.architecture)
    found = roof.Roof.of(roof.measured_layers(balanced, probe.architecture, dense, measurement.conditions.precision))
    collected.texts.append(
        f"roofs of {device.info.name}, {measurement.conditions.effective_precision} ({measurement.provenance}): "
        f"{found.macs_per_s / 1e9:.1f} billion multiply-accumulates a second, {found.bytes_per_s / 1e9:.1f} GB/s"
    )
