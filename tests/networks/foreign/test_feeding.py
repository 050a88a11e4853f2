"""Networks from elsewhere are fed what they take, and measured at their own batch or refused."""

import io
from collections.abc import Callable, Iterator

import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from harness.devices.measure import Protocol, measure
from harness.devices.session import Device, Session
from harness.devices.spec import find
from harness.errors import ModelRefused
from harness.exported import Exported
from harness.networks import export
from tests.networks.foreign.written import picture_network, two_inputs

QUICK = Protocol(warmup_s=0.0, warmup_rounds=1, rounds=4, min_time_s=0.0, blocks=2, precision_target=None, profile_compiles=1)


class Embedded(nn.Module):
    """Rows of a table by number, weighted by a mask: two inputs of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(50, 16), nn.Linear(16, 4)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        answer: Tensor = self.head((self.table(ids) * mask.unsqueeze(-1).float()).mean(1))
        return answer


def embedded() -> bytes:
    content = io.BytesIO()
    ids = torch.zeros(1, 12, dtype=torch.int64)
    torch.onnx.export(Embedded().eval(), (ids, ids), content, opset_version=17, dynamo=False, input_names=["ids", "mask"])
    return content.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "f16": lambda: picture_network((1, 3, 16, 16), TensorProto.FLOAT16).SerializeToString(),
    "f64": lambda: picture_network((1, 3, 16, 16), TensorProto.DOUBLE).SerializeToString(),
    "bytes": lambda: picture_network((1, 3, 16, 16), TensorProto.UINT8).SerializeToString(),
    "signed bytes": lambda: picture_network((1, 3, 16, 16), TensorProto.INT8).SerializeToString(),
    "whole numbers": lambda: picture_network((1, 3, 16, 16), TensorProto.INT64).SerializeToString(),
    "yes and no": lambda: picture_network((1, 3, 16, 16), TensorProto.BOOL).SerializeToString(),
    "two tables": lambda: two_inputs((1, 8), (1, 8), TensorProto.INT32).SerializeToString(),
    "embedding": embedded,
}


@pytest.fixture(scope="module", params=["cpu", "simulated", "ort"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    with Device(find(request.param).answering()).open() as opened:
        yield opened


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_input_is_fed_and_every_layer_credited(session: Session, kind: str) -> None:
    file = Exported.of(export.parse(FILES[kind](), "own"))
    measurement = measure(session, file.subject(), QUICK)
    assert measurement.latency.median_s > 0
    assert measurement.conditions.batch_size == 1
    known = {site.name for site in file.architecture.layers}
    assert {layer for node in measurement.layers for layer in node.source_layers} == known
    told = dict(measurement.notes).get("inputs", "")
    assert all(one.name in told for one in file.artefact.inputs) or session.info.simulated


def test_a_fixed_batch_is_never_reshaped(session: Session) -> None:
    four = export.parse(picture_network((4, 3, 16, 16)).SerializeToString(), "four")
    assert session.load(four.onnx, "four", batch_size=4).batch_size == 4
    for other in (1, 2):
        with pytest.raises(ModelRefused, match=f"of batch size 4, not {other}"):
            session.load(four.onnx, "four", batch_size=other)


def test_open_sizes_are_refused_by_the_device_too(session: Session) -> None:
    with pytest.raises(ModelRefused, match="leaves a size open"):
        session.load(picture_network((1, 3, "H", "W")).SerializeToString(), "open")


def test_outputs_of_what_takes_no_pictures_are_refused_in_words(session: Session) -> None:
    loaded = session.load(embedded(), "embedding")
    with pytest.raises(ModelRefused):
        loaded.outputs(torch.zeros(1, 3, 8, 8).numpy())
