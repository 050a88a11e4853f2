"""What a campaign on compiled cost found, in sentences; the first says that nothing was measured, and how to measure it."""

from __future__ import annotations

from search.records.costs.objective import told_cost
from search.records.losses.drop import mean_accuracy
from search.records.trial import STOPPED
from search.report.compiled.told import Entry, Told
from search.report.figures.wording import count_words, points_interval
from search.report.sentences import loss

FEW_IMAGES = 2000  # fewer: one wrong answer is worth more than a twentieth of a point


def measuring(told: Told) -> str:
    """The command that measures the network's latencies where the device is, and takes these trials over."""
    elsewhere = "" if str(told.folder.parent.parent) == "reports" else f" --reports={told.folder.parent.parent}"
    return f"python -m search fork {told.outcome.name} --objective=latency{elsewhere}"


def nothing_measured(told: Told) -> str:
    """What the figures are, and how to measure."""
    device = told.dense.compiled.device
    return (
        f"Nothing here was measured: compiled cost is what the compiler of {told.outcome.device} ({device.runtime} "
        f"{device.runtime_version}) says of a network, in its own unit, and it is no duration; to measure latency, where the device is "
        f"plugged in: {measuring(told)}"
    )


def headline(told: Told) -> str:
    """The campaign's answer in one sentence."""
    best, dense = told.optimised, told.dense
    interval = "" if best.test_drop is None else f" (95 % interval {points_interval(best.test_drop)})"
    return (
        f"{_missed(told)}{told.outcome.network} compiled for {told.outcome.device} has a compiled cost of {told_cost(best.compiled.cost)} "
        f"where the unpruned one has {told_cost(dense.compiled.cost)}, {_cheaper(dense, best)}, {loss(best.test_drop)}{interval}."
    )


def others(told: Told) -> tuple[str, ...]:
    """A sentence on each network that could be had without this search."""
    words = {"off-the-shelf": "Off-the-shelf", "uniform": "A uniform cut", "global-pruning": "Global pruning by Torch-Pruning"}
    return tuple(
        f"{words[entry.contender.role]}{_named(entry)} has a compiled cost of {told_cost(entry.compiled.cost)}, "
        f"{_cheaper(told.dense, entry)}, {loss(entry.test_drop)}{_same(told, entry)}."
        for entry in told.compared
        if entry.contender.role in words
    )


def limits(told: Told) -> str:
    """Whether the largest drop that was allowed was kept."""
    best, limit = told.optimised, told.outcome.max_drop_points
    if limit is None or best.validation_drop is None or best.test_drop is None:
        return "none was set"
    kept = {
        name: "kept" if lost.points <= limit else "missed"
        for name, lost in (("validation", best.validation_drop), ("test", best.test_drop))
    }
    sure = ""
    if best.evidence is not None:
        chance, asked = best.evidence.chance_within(limit), told.outcome.certainty
        sure = f"; with a probability of {chance:.2f} its true drop is within it"
        if asked is not None and chance < asked:
            sure += f": less than the {asked:g} asked for, but no cheaper one was as sure"
    what = f"drop of at most {limit:g} {'point' if limit == 1 else 'points'}"
    return f"{what}: {kept['validation']} on validation, {kept['test']} on test{sure}"


def model(told: Told) -> tuple[str, ...]:
    """How good the predicted costs are, which the search went by, and what they rest on."""
    judged = told.known.judged.sentence()
    return (
        f"{judged[0].upper()}{judged[1:]}; made from {count_words(len(told.known.made_from), 'compiled network')}.",
        f"{told.known.staircases.sentence()}.",
    )


def doubts(told: Told) -> tuple[str, ...]:
    """What could make these figures wrong, or not carry over; the gravest first."""
    said = [
        "A compiler's cost is its own estimate of what runs in hardware: copies, and whatever runs on other processors, count nothing in "
        "it. How it goes with what the device takes is not known from here; the device may put networks in another order.",
        "The network is compiled in half floats; its accuracy is that of whole ones on this machine.",
    ]
    _, validation, test = told.outcome.split_sizes
    if min(validation, test) < FEW_IMAGES:
        said.append(f"Accuracies rest on {validation} validation and {test} test images.")
    seeds = len(told.optimised.contender.tests)
    said.append(f"Every network was fine-tuned with {count_words(seeds, 'seed')}; another one moves each accuracy by its own noise.")
    tried = sum(one.outcome.ok for one in (*told.imported, *told.trials))
    said.append(f"The answer is the best of {count_words(tried, 'trial')} on validation; the test split was read once, after the choice.")
    said += _better(told)
    for status, words in (("crashed", "crashed and told nothing about accuracy"), (STOPPED, "stood so low on the way that it was stopped")):
        if count := sum(one.outcome.status == status for one in told.trials):
            said.append(f"{count_words(count, 'trial')} {words}.")
    return tuple(said)


def _better(told: Told) -> list[str]:
    """Networks that beat the answer in both compiled cost and test accuracy: chance on validation, or a better plain idea."""
    best = told.optimised
    reached = mean_accuracy(best.contender.tests).top1_ratio
    return [
        f"{entry.name} is cheaper to the compiler than the optimised network and reached no less on the test split: "
        "validation did not foresee it."
        for entry in told.compared
        if entry.compiled.cost < best.compiled.cost and mean_accuracy(entry.contender.tests).top1_ratio >= reached
    ]


def _missed(told: Told) -> str:
    limit = told.outcome.max_drop_points
    if not told.limit_missed or limit is None:
        return ""
    return (
        f"No network found keeps the limit of {limit:g} {'point' if limit == 1 else 'points'} on validation; the chosen one all the same: "
    )


def _cheaper(dense: Entry, entry: Entry) -> str:
    if entry.compiled.cost == dense.compiled.cost:
        return "the same to the compiler"
    if not entry.compiled.cost:
        return "nothing to the compiler"
    ratio = dense.compiled.cost / entry.compiled.cost
    return f"{ratio:.2f} times cheaper to the compiler" if ratio > 1 else f"{1 / ratio:.2f} times dearer to the compiler"


def _named(entry: Entry) -> str:
    return "" if entry.name == entry.contender.role else f" ({entry.name})"


def _same(told: Told, entry: Entry) -> str:
    return "; it keeps the very channels of the optimised one" if entry.contender.config == told.optimised.contender.config else ""
