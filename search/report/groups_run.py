"""``python -m search groups``: what of a network can be pruned, without a device and without training."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from harness.networks import groups, outputs, zoo
from harness.networks.groups import Coupling
from harness.pipeline import Network
from harness.records.architecture import Architecture
from search.campaign.subject import dataset_of, divided
from search.records.display import Display
from search.records.request import Request
from search.workers.sized import network_at

MOST_LAYERS_TOLD = 3


def run(request: Request, display: Display) -> None:
    """Print groups, widths, removable branches, and what is left alone and why. PruningError when nothing can be pruned."""
    asked = divided(request, display.say)
    dataset = dataset_of(asked)
    model = zoo.build(asked.network, dataset.input_shape, dataset.classes)
    if asked.weights is not None:
        zoo.load_weights(model, asked.weights)
    if told := outputs.note(model):
        display.say(told)
    coupling = groups.coupling_of(model, dataset.input_shape)
    if coupling.left_out:
        display.console.print(_left_alone(coupling))
    architecture = groups.architecture_of(model, asked.network, dataset.input_shape, dataset.classes)
    display.console.print(_table(architecture))
    display.say(groups.sentence(architecture, coupling))
    network = Network(asked.network, model, architecture)
    for size in asked.sizes[1:]:
        there = network_at(network, size).architecture
        share = there.macs(there.dense()) / architecture.macs(architecture.dense())
        display.say(f"at {size}: the same groups, {share:.0%} of the multiply-accumulates of {asked.sizes[0]}")


def _table(architecture: Architecture) -> Table:
    table = Table(title="channels that can be pruned, each group as one")
    for head in ("group", "channels", "steps", "branch", "stage", "layers"):
        table.add_column(head, justify="right" if head in ("channels", "steps") else "left", overflow="fold")
    for group in architecture.groups:
        gone = sum(site.branch == group.name for site in architecture.layers)
        branch = f"{gone} layers" if group.removable else ""
        more = len(group.members) - MOST_LAYERS_TOLD
        layers = ", ".join(group.members[:MOST_LAYERS_TOLD]) + (f" and {more} more" if more > 0 else "")
        cells = (group.name, str(group.channels), str(group.step) if group.step > 1 else "", branch, group.stage, layers)
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _left_alone(coupling: Coupling) -> Table:
    table = Table(title="left alone: these keep their channels")
    for head in ("first layer", "channels", "why"):
        table.add_column(head, justify="right" if head == "channels" else "left")
    for left in coupling.left_out:
        table.add_row(Text(left.name), Text(str(left.channels)), Text(left.reason))
    return table
