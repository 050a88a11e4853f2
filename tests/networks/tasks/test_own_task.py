"""A task of the user's own: what it gives, what is made of it, and what is refused in one line."""

import pickle
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import HarnessError, UsageError
from harness.networks import datasets, zoo
from harness.networks.tasks.own_task import OwnTask

WHOLE = """
import torch


class Brightness:
    name, unit, per_unit, better_is_higher = "error", "lux", 2.0, False
    chance = 40.0

    def data(self):
        images = torch.rand(12, 1, 8, 8)
        return tuple((part, part.mean((1, 2, 3)) * 100) for part in (images, images[:6], images[6:]))

    def loss(self, outputs, targets):
        return ((outputs[:, 0] - targets) ** 2).mean()

    def metric(self, outputs, targets):
        return (outputs[:, 0] - targets).abs()


task = Brightness
made = Brightness()
"""


def written(folder: Path, text: str = WHOLE, name: str = "task") -> str:
    file = folder / "mine.py"
    file.write_text(textwrap.dedent(text))
    return f"{file}:{name}"


@pytest.mark.parametrize("name", ["task", "made"])
def test_the_file_says_metric_unit_and_pictures(tmp_path, name):
    found = datasets.load(f"task:{written(tmp_path, name=name)}")
    metric = found.task.metric
    assert (metric.name, metric.unit) == ("error", "lux")
    assert (len(found.train), len(found.validation), len(found.test)) == (12, 6, 6)
    assert found.input_shape == (1, 8, 8)
    assert found.train.strata.unique().tolist() == [0]
    assert found.task.chance(found.train.labels, 1).ratio == metric.ratio(40.0)


def test_less_of_an_error_is_more_inside_and_a_hundredth_is_one_unit(tmp_path):
    task = OwnTask.of(written(tmp_path))
    targets = torch.tensor([10.0, 20.0, 30.0])
    worse, better = (task.scores(task.seen((targets + by)[:, None], targets)) for by in (6.0, 2.0))
    assert 100 * (better.mean() - worse.mean()) == pytest.approx((6.0 - 2.0) / 2.0)  # in units of 2 lux
    assert task.metric.told(float(worse.mean())) == "6"
    assert task.metric.worded("1 point of top-1, 2 points") == "1 lux of error, 2 lux"
    assert task.metric.worded("a top-1 drop of 2 points: a larger --max-drop") == "a error rise of 2 lux: a larger --max-drop"


def test_a_number_for_all_pictures_is_parted_among_them(tmp_path):
    one_for_all = WHOLE.replace("return (outputs[:, 0] - targets).abs()", "return float((outputs[:, 0] - targets).abs().median())")
    task = OwnTask.of(written(tmp_path, one_for_all))
    targets = torch.arange(20.0)
    outputs = targets[:, None] + torch.linspace(0, 4, 20)[:, None]
    found = task.scores(task.seen(outputs, targets))
    assert found.shape == (20,)
    assert task.metric.figure(float(found.mean())) == pytest.approx(float((outputs[:, 0] - targets).median()))


def test_it_goes_to_other_processes_with_its_file(tmp_path):
    task = OwnTask.of(written(tmp_path))
    sent = pickle.dumps(task)
    Path(tmp_path / "mine.py").unlink()
    again = pickle.loads(sent)
    assert again.metric == task.metric
    assert callable(again.made.loss)


def test_its_digest_follows_from_its_text(tmp_path):
    text = WHOLE.replace("torch.rand(12, 1, 8, 8)", "torch.ones(12, 1, 8, 8)")
    first = datasets.load(f"task:{written(tmp_path, text)}").digest
    other = datasets.load(f"task:{written(tmp_path, text.replace('** 2', '** 4'))}").digest
    assert first == datasets.load(f"task:{written(tmp_path, text)}").digest != other


def test_pictures_come_from_datasets_and_loaders_too(tmp_path):
    text = WHOLE.replace(
        "return tuple((part, part.mean((1, 2, 3)) * 100) for part in (images, images[:6], images[6:]))",
        """
        from torch.utils.data import DataLoader, TensorDataset
        pairs = TensorDataset(images, images.mean((1, 2, 3)))
        return pairs, DataLoader(pairs, batch_size=5), list(pairs)
        """.strip(),
    )
    found = datasets.load(f"task:{written(tmp_path, text)}")
    assert [len(part) for part in (found.train, found.validation, found.test)] == [12, 12, 12]
    assert torch.equal(found.train.images, found.validation.images)
    assert torch.equal(found.train.labels, found.test.labels)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def metric", "def other", r"gives no metric; a task has the functions loss, metric and data"),
        ("images[:6], images[6:])", "images)", r"returned 2 parts; return three: training, validation and test"),
        ("torch.rand(12, 1, 8, 8)", "torch.rand(12, 8, 8)[:, None][:, 0]", r"failed with IndexError"),
        ("torch.rand(12, 1, 8, 8)", "torch.rand(12, 1, 4, 4)", r"at least 8 pixels high and wide"),
        ("torch.rand(12, 1, 8, 8)", "torch.rand(12, 1, 8, 8) / 0", r"hold values that are no numbers"),
        ("* 100)", "[1:] * 100)", r"12 images but targets of shape \(11,\); give one for every image"),
        ("images[6:])", "images[:1])", r"test pictures of .*: 1 are too few; give at least 2"),
        ("2.0, False", "-1.0, False", r"per_unit of .* is -1\.0; give a number above 0"),
        ("import torch", "import torch, nowhere_at_all", r"failed with ModuleNotFoundError.*mend the file"),
    ],
    ids=["no-metric", "two-parts", "fails", "small", "infinite", "short", "few", "unit", "import"],
)
def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path, old, new, told):
    assert old in WHOLE
    with pytest.raises(HarnessError, match=told) as refused:
        datasets.load(f"task:{written(tmp_path, WHOLE.replace(old, new))}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("return float('nan')", "is nan; give a metric that is a number"),
        ("return torch.ones(3, 2)", r"returned numbers of shape \(3, 2\) for 6 pictures"),
        ("return [1.0] * 5 + [float('inf')]", "is no number for 1 of 6 pictures; mend it"),
        ("return outputs.nonsense", "metric of .*mine.py:task failed with AttributeError"),
    ],
)
def test_metrics_that_are_none_are_refused(tmp_path, new, told):
    task = OwnTask.of(written(tmp_path, WHOLE.replace("return (outputs[:, 0] - targets).abs()", new)))
    with pytest.raises(UsageError, match=told):
        task.scores(task.seen(torch.zeros(6, 1), torch.zeros(6)))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("return ((outputs.detach()[:, 0] - targets) ** 2).mean()", "returned a number that does not lead back to the outputs"),
        ("return outputs[:, 0] - targets", r"returned a tensor of shape \(6,\); return one number"),
        ("return 0.5", "returned a float; return one number"),
    ],
)
@pytest.mark.parametrize("what", ["loss", "imitation"])
def test_losses_that_nothing_learns_from_are_refused(tmp_path, new, told, what):
    text = WHOLE.replace("return ((outputs[:, 0] - targets) ** 2).mean()", new)
    task, outputs = (
        OwnTask.of(written(tmp_path, text + "\nBrightness.imitation = Brightness.loss\n")),
        torch.zeros(6, 1, requires_grad=True),
    )
    ask = {"loss": task.loss, "imitation": task.imitation}[what]
    with pytest.raises(UsageError, match=f"{what} of .*{told}"):
        ask(outputs, torch.zeros(6), 1.0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return (outputs[:, 0] - targets).abs()", "return outputs.nonsense", "metric of .* failed with AttributeError"),
        ("return (outputs[:, 0] - targets).abs()", "return torch.ones(3, 2)", r"returned numbers of shape \(3, 2\) for 6 pictures"),
        ("return ((outputs", "return 0 / 0 * ((outputs", "loss of .* failed with ZeroDivisionError"),
        (").mean()", ").mean() * float('nan')", "loss of .* is nan before anything is trained; mend it"),
        ("return ((outputs", "targets.add_(1); return ((outputs", r"changes the targets that it is given; let it work on a copy \(clone\)"),
        ("chance = 40.0", "chance = '40'", "chance of .* is '40'; give a number"),
    ],
    ids=["metric-fails", "metric-shape", "loss-fails", "loss-nan", "targets-changed", "chance"],
)
def test_a_rehearsal_finds_what_would_fail_after_the_training(tmp_path, old, new, told):
    assert old in WHOLE
    task = OwnTask.of(written(tmp_path, WHOLE.replace(old, new, 1)))
    with pytest.raises(UsageError, match=told):
        task.rehearse(torch.zeros(6, 1, requires_grad=True), torch.zeros(6))


def test_a_rehearsal_lets_pass_what_is_no_number_of_a_network_that_learnt_nothing(tmp_path):
    for text in (WHOLE, WHOLE.replace("return (outputs[:, 0] - targets).abs()", "return float('nan')")):
        OwnTask.of(written(tmp_path, text)).rehearse(torch.zeros(6, 1, requires_grad=True), torch.zeros(6))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("return outputs[:, 0] * 0 + targets / targets", r"is no number for 2 of 6 test pictures, whatever .* \(number 2, counted from 0"),
        ("return float('nan')", r"is no number for the 6 test pictures, whatever the network answers .* give a number for every picture"),
        ("return outputs.nonsense", "metric of .* failed with AttributeError"),
    ],
    ids=["empty-pictures", "never", "fails"],
)
def test_a_metric_that_some_pictures_have_none_of_is_refused_before_the_training(tmp_path, new, told):
    task = OwnTask.of(written(tmp_path, WHOLE.replace("return (outputs[:, 0] - targets).abs()", new)))
    with pytest.raises(UsageError, match=told) as refused:
        task.refuse_pictures(torch.ones(2, 1), torch.tensor([1.0, 2.0, 0.0, 3.0, 0.0, 4.0]), "test")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "new",
    [
        "return float(torch.corrcoef(torch.stack([outputs[:, 0], targets]))[0, 1])",
        "return torch.where(outputs[:, 0] == 0, outputs[:, 0] / 0, targets)",
        "return outputs[:, 0] * 0 + 1 if bool((outputs == 1).all()) else outputs.nonsense",
    ],
    ids=["correlation", "found-nothing", "noise-is-no-answer"],
)
def test_a_metric_that_is_a_number_of_other_answers_passes(tmp_path, new):
    task = OwnTask.of(written(tmp_path, WHOLE.replace("return (outputs[:, 0] - targets).abs()", new)))
    for answered in (torch.ones(2, 1), torch.zeros(2, 1))[: 1 if "nonsense" in new else 2]:
        task.refuse_pictures(answered, torch.arange(6.0), "validation")


def test_arrays_serve_as_pictures(tmp_path):
    text = WHOLE.replace("(part, part.mean((1, 2, 3)) * 100)", "(part.numpy(), part.mean((1, 2, 3)).numpy())")
    found = datasets.load(f"task:{written(tmp_path, text)}")
    assert len(found.train) == 12
    assert found.train.images.dtype is torch.float32


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ("[{'image': one, 'target': 1.0} for one in part]", "one of them is a dict; give pairs of an image and a target"),
        ("[(one, 1.0, 2) for one in part]", "one of them is 3 parts; give pairs of an image and a target"),
        ("[('a.png', 1.0) for one in part]", "an image is a str, of which torch makes no tensor; give tensors, C x H x W"),
        (
            "[(one, {'boxes': one}) for one in part]",
            r"a target is a dict, of which torch makes no tensor; give numbers, or collate\(targets\)",
        ),
    ],
)
def test_items_that_are_no_pair_of_tensors_are_called_by_their_kind(tmp_path, items, told):
    text = WHOLE.replace("(part, part.mean((1, 2, 3)) * 100)", items)
    with pytest.raises(HarnessError, match=told):
        datasets.load(f"task:{written(tmp_path, text)}")


def test_a_network_of_other_outputs_is_measured_all_the_same_and_that_is_noted(tmp_path):
    layers = "nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))"
    text = f"from torch import nn\n\n\ndef net(channels):\n    return {layers}\n"
    (tmp_path / "net.py").write_text(text)
    name = f"{tmp_path / 'net.py'}:net"
    task = datasets.load("digits").task
    with pytest.raises(UsageError, match=r"answers \(1, 2, 30, 30\), not \(1, 10\); return one logit per class"):
        zoo.build(name, (1, 32, 32), 10)
    made = zoo.built_for_measuring(name, (1, 32, 32), 10, task)
    assert made.notes == ("the network answers (1, 2, 30, 30): it is measured and explained; to be judged and pruned it needs a --task",)
    assert isinstance(np.array(made.model(torch.zeros(1, 1, 32, 32)).shape), np.ndarray)
