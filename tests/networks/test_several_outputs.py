"""Networks of several outputs: exported whole, answered as one, apart again, and pruned only where every output agrees."""

import numpy as np
import pytest
import torch
from torch import nn

from harness.devices.session import Device
from harness.devices.spec import find
from harness.networks import export, groups, several_outputs
from harness.pruning import surgery
from harness.quantisation.answering import Answers, answered


class Heads(nn.Module):
    """A body and two heads of other shapes, as a detector has them, one of them in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.boxes, self.only = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 6, 1)
        self.kinds = nn.Linear(6, 3)

    def forward(self, images):
        maps = self.body(images)
        return self.boxes(maps), {"kinds": self.kinds(self.only(maps).mean((2, 3)))}


@pytest.fixture(scope="module")
def heads():
    torch.manual_seed(0)
    return Heads().eval()


def test_the_device_answers_every_output_as_torch_does(heads):
    artefact = export.export(heads, (1, 16, 16), "heads")
    images = torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    answers = Answers("cpu")
    try:
        found = answers(artefact, images, "f32")
    finally:
        answers.close()
    boxes, kinds = several_outputs.apart(found, several_outputs.shapes(artefact))
    with torch.no_grad():
        wanted = heads(images)
    assert several_outputs.shapes(artefact) == ((4, 4, 4), (3,))
    assert torch.allclose(boxes, wanted[0], atol=1e-5)
    assert torch.allclose(kinds, wanted[1]["kinds"], atol=1e-5)


def test_one_output_stays_what_it_is(heads):
    artefact = export.export(heads.body, (1, 16, 16), "body")
    assert several_outputs.as_one(artefact) is artefact
    values = np.ones((2, 8, 4, 4), np.float32)
    assert torch.equal(several_outputs.apart(values, several_outputs.shapes(artefact)), torch.from_numpy(values))


def test_a_network_of_several_outputs_is_timed_as_it_is(heads):
    artefact = export.export(heads, (1, 16, 16), "heads")
    with Device(find("cpu").answering()).open() as session:
        loaded = session.load(artefact.onnx, "heads", "f32", False, artefact.node_layers, 1)
        assert answered(loaded, torch.zeros(2, 1, 16, 16)).shape == (2, 4, 4, 4)
        loaded.unload()


def test_channels_are_removed_as_zeros_in_every_output(heads):
    architecture = groups.architecture_of(heads, "heads", (1, 16, 16), 1)
    halved = architecture.partial({group.name: group.channels // 2 for group in architecture.groups})
    kept = surgery.first(architecture, halved)
    images = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        removed, zeroed = (change(heads, architecture, kept)(images) for change in (surgery.remove, surgery.zero))
    assert torch.allclose(removed[0], zeroed[0], atol=1e-5)
    assert torch.allclose(removed[1]["kinds"], zeroed[1]["kinds"], atol=1e-5)
    assert "only" in {group.name for group in architecture.groups}  # which serves the second output alone


class SizeInTheSecond(Heads):
    """A number of channels is written into what the second output alone needs."""

    def forward(self, images):
        maps = self.body(images)
        return self.boxes(maps), self.kinds(self.only(maps).mean((2, 3))) * (self.only.out_channels == 6 and maps.shape[1] == 8)


def test_what_only_the_second_output_shows_is_left_alone():
    found = groups.coupling_of(SizeInTheSecond().eval(), (1, 16, 16))
    assert "body.2" in {one.name for one in found.left_out}
