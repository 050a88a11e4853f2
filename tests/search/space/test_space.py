"""The search space: one row per configuration, legal widths only."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import PruningError, UnknownName, UsageError
from harness.records.architecture import Architecture, ChannelGroup
from harness.records.pruning_config import PruningConfig
from search.records.trial import TuningChoice
from search.space.recipe_ranges import RecipeRanges
from search.space.space import SearchSpace

RECIPE = TuningChoice("fpgm", "one-shot", 0.0123, 3e-4, 0.07)


def test_a_configuration_comes_back_from_its_row(space: SearchSpace) -> None:
    config = PruningConfig.of("toy", {"conv1": 8, "layer1.0.conv1": 0, "layer1.1.conv1": 4, "layer2.0.conv1": 24})
    back, recipe = space.decode(space.encode(config, RECIPE))
    assert back == config
    assert recipe.criterion == "fpgm"
    assert recipe.learning_rate == pytest.approx(RECIPE.learning_rate, rel=1e-4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1))
def test_a_row_comes_back_from_its_configuration_to_the_bit(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    row = np.concatenate([rng.integers(space.sizes), rng.random(len(space.numbers)), [rng.integers(2)]]).astype(float)
    row = space.rounded(row[None])[0]
    assert (space.encode(*space.decode(row)) == row).all()


def test_published_widths_can_be_encoded_but_are_not_legal(architecture: Architecture) -> None:
    published = architecture.partial({"layer1.0.conv1": 7})
    legal = {"layer1.0.conv1": (0, 8, 16)}
    assert not SearchSpace(architecture, legal).covers(published, TuningChoice())
    space = SearchSpace(architecture, legal, exact=[published])
    row = space.encode(published, TuningChoice())
    assert space.decode(row)[0] == published
    assert not space.legal(row[None])[0]
    assert space.legal(space.encode(architecture.dense(), TuningChoice())[None])[0]


def test_snapping_never_leaves_the_legal_widths(architecture: Architecture) -> None:
    space = SearchSpace(architecture, {"layer1.0.conv1": (0, 8, 16)}, exact=[architecture.partial({"layer1.0.conv1": 7})])
    rows = space.snap(np.linspace(0, 1, 50)[:, None])
    kept = {int(space.tables[0][index]) for index in rows[:, 0]}
    assert kept == {0, 8, 16}


def test_a_group_without_choice_is_no_dimension(space: SearchSpace, architecture: Architecture) -> None:
    fixed = SearchSpace(architecture, {"layer1.0.conv1": (0, 16)})
    assert fixed.names == ("layer1.0.conv1",)
    row = fixed.encode(architecture.dense(), TuningChoice())
    assert fixed.widths(row[None]).tolist() == [[16, 16, 16, 32]]
    assert space.groups == 4


def test_features_are_pruned_fractions_of_the_real_widths(space: SearchSpace) -> None:
    config = PruningConfig.of("toy", {"conv1": 8, "layer1.0.conv1": 0, "layer1.1.conv1": 4, "layer2.0.conv1": 24})
    features = space.features(space.encode(config, RECIPE)[None])
    assert features.pruned.tolist() == [[0.5, 1.0, 0.75, 0.25]]
    assert features.numbers.shape == (1, 3)
    stages = {"stem": 0.5, "layer1": 0.875, "layer2": 0.25}
    assert features.stages[0, :3] == pytest.approx([stages["stem"] * 0.5, stages["layer1"] * 0.5**0.5, stages["layer2"] * 0.5])
    assert features.stages[0, 3:] == pytest.approx([0.25 * 0.5, (1 + 0.75**2) / 2 * 0.5**0.5, 0.0625 * 0.5])
    assert features.whole_trend[0] == pytest.approx([0.625, (0.25 + 1 + 0.5625 + 0.0625) / 4])
    fractions = np.array([0.5, 1.0, 0.75, 0.25])
    assert (features.group_trend**2).sum() == pytest.approx(np.mean(fractions**2) + np.mean(fractions**4))
    assert features.categories.tolist() == [[1.0]]


def test_same_trial_same_key(space: SearchSpace, architecture: Architecture) -> None:
    row = space.encode(architecture.dense(), RECIPE)
    nearly, other = row.copy(), row.copy()
    nearly[space.groups] += 2e-4
    other[0] -= 1
    keys = space.keys(np.stack([row, nearly, other]))
    assert keys[0] == keys[1] != keys[2]


def test_digest_tells_spaces_apart(space: SearchSpace, architecture: Architecture) -> None:
    wider = SearchSpace(architecture, {**space.legal_widths, "conv1": (4, 8, 16)}, space.ranges)
    same = SearchSpace(architecture, space.legal_widths, space.ranges)
    assert space.digest == same.digest != wider.digest


def group(**changes: object) -> Architecture:
    fields = {"name": "a", "channels": 16, "members": ("a",), "removable": False, "stage": "s", "step": 1}
    return Architecture("toy", (3, 8, 8), 2, (ChannelGroup(**{**fields, **changes}),), ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("legal", "changes", "says"),
    [
        ((16, 8), {}, "ascending"),
        ((8, 8, 16), {}, "each once"),
        ((0, 16), {}, "no residual branch"),
        ((4, 8), {}, "lack the dense width 16"),
        ((8, 16, 24), {}, "from 0 to 16"),
        ((-8, 16), {}, "from 0 to 16"),
        ((), {}, "ascending"),
        ((6, 16), {"step": 4}, "multiples of 4"),
        ((16,), {}, "nothing to search"),
    ],
)
def test_widths_that_do_not_fit_are_refused(legal: tuple[int, ...], changes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        SearchSpace(group(**changes), {"a": legal})


def test_strangers_are_refused(space: SearchSpace, architecture: Architecture) -> None:
    with pytest.raises(UnknownName, match="channel group 'nothing'"):
        SearchSpace(architecture, {"nothing": (1,)})
    with pytest.raises(UnknownName, match="search space 'wide'"):
        SearchSpace(architecture, {}, moves="wide")
    with pytest.raises(UsageError, match=r"12 channels of layer1.0.conv1 are not in this search space; choose one of 0, 8, 16"):
        space.encode(architecture.partial({"layer1.0.conv1": 12}), RECIPE)
    with pytest.raises(UnknownName, match="criterion 'l2'"):
        space.encode(architecture.dense(), TuningChoice("l2"))
    with pytest.raises(UsageError, match="learning_rate 5 is outside"):
        space.encode(architecture.dense(), TuningChoice(learning_rate=5))
    with pytest.raises(UsageError, match=r"distillation 0.5 is outside the search space; it is fixed at 0"):
        space.encode(architecture.dense(), TuningChoice(distillation=0.5))
    with pytest.raises(PruningError, match="is for other"):
        space.encode(PruningConfig.of("other", dict(architecture.dense().channels)), RECIPE)


@pytest.mark.parametrize(
    ("ranges", "says"),
    [
        ({"learning_rate": (0.1, 0.01)}, "range 0.1 to 0.01"),
        ({"weight_decay": (0.0, 0.01)}, "range 0.0 to 0.01"),
        ({"label_smoothing": (0.0, float("nan"))}, "not finite"),
        ({"criteria": ()}, "at least one"),
        ({"schedules": ("one-shot", "one-shot")}, "each once"),
    ],
)
def test_recipe_ranges_that_make_no_sense_are_refused(ranges: dict[str, tuple[float, float]], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        RecipeRanges(**ranges)  # type: ignore[arg-type]


def test_the_first_recipe_lies_within_the_ranges() -> None:
    ranges = RecipeRanges(("fpgm",), ("one-shot",), (0.02, 0.1), (1e-5, 1e-4), (0.1, 0.1))
    assert ranges.start == TuningChoice("fpgm", "one-shot", 0.02, 1e-4, 0.1)
    assert RecipeRanges().start == TuningChoice()


def test_a_residual_stream_is_a_stage_of_its_own_and_weighs_by_its_layers() -> None:
    """One group of three layers and two interiors in the same stage: two ties, and weights of mean square 1."""
    groups = (
        ChannelGroup("stream", 16, ("a", "b", "c"), False, "layer1"),
        ChannelGroup("one", 16, ("one",), False, "layer1"),
        ChannelGroup("two", 16, ("two",), False, "layer1"),
    )
    toy = Architecture("toy", (3, 32, 32), 10, groups, ())
    space = SearchSpace(toy, {group.name: (8, 16) for group in groups})
    assert [list(tie) for tie in space.ties] == [[0], [1, 2]]
    weights = space.features(space.encode(toy.dense(), space.start)[None]).weights
    assert weights == pytest.approx(np.sqrt([1.8, 0.6, 0.6]))
