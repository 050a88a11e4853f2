"""``python -m search export``: a campaign's trials from its folder alone, as an Optuna study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from search.campaign import common_recipe, sharing
from search.campaign.subject import dataset_of, dense_network, space_of
from search.records import folder as folders
from search.records import journal, kept_source
from search.records.display import Display
from search.report import optuna_export
from search.space import knowledge
from search.space.goals import objective_of


def run(name: str, reports: Path, target: Path | None, display: Display) -> Path:
    """Write the study of a campaign, finished or not; returns its file.

    target: a file that does not exist yet; by default ``optuna.db`` in the campaign's folder.
    """
    folder = folders.existing(name, reports)
    path = folder / "optuna.db" if target is None else target
    request, contents = folders.read_request(folder), journal.read(folder)
    kept_source.take_own(folder, request, display.say)
    optuna_export.refuse(path)
    with_dense = replace(request, weights=folders.dense(folder, request))
    subject = dense_network(with_dense, dataset_of(with_dense), display)
    known = knowledge.read(folder, request, subject.architectures)
    space, _ = space_of(request, subject.network, known, common_recipe.known(folder, request, subject).recipe)
    space = space.including(sharing.configurations(contents.imported))
    with display.timed("exporting the trials"):
        count = optuna_export.export(name, contents.finished, space, path, objective_of(request))
    display.say(f"{count} trials; look at them with: optuna-dashboard sqlite:///{path}")
    return path
