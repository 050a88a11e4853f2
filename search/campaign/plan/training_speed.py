"""In which way a campaign trains: the fastest that was tried here when it began, and the same for all of its life."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.networks.datasets import Dataset
from harness.training import processor
from harness.training.speed import probe
from search.records import folder as folders
from search.records import training_record
from search.records.display import Display
from search.records.request import Request
from search.records.training_record import TrainingRecord


@dataclass(frozen=True)
class Trained:
    """The way of training that this process has adopted. images_per_s: of the dense network, here and now; None where nobody tried."""

    record: TrainingRecord
    images_per_s: float | None


def begin(request: Request, dataset: Dataset, display: Display) -> Trained:
    """Adopt the fastest way for a new campaign; a fork keeps that of the campaign whose trials it takes over."""
    old = None if request.old is None else training_record.read(folders.existing(request.old, request.reports))
    if old is None:
        return _tried(request, dataset, display)
    if refusal := probe.refusal(request.network, dataset, old.way):  # another network, or another machine
        display.say(f"training: {old.way.words}, as {request.old} was trained, cannot be run here ({refusal}): trying what can")
        return _tried(request, dataset, display)
    return _kept(old, display)


def go_on(folder: Path, request: Request, dataset: Dataset, display: Display) -> Trained:
    """Adopt what a campaign began with, whatever would be faster now; of one from before that was recorded, what is fastest here."""
    record = training_record.read(folder)
    if record is not None:
        return _kept(record, display)
    found = _tried(request, dataset, display)
    training_record.write(folder, found.record)
    return found


def _kept(record: TrainingRecord, display: Display) -> Trained:
    processor.adopt(record.way)
    display.say(f"training: {record.way.words}, as the campaign began")
    return Trained(record, None)


def _tried(request: Request, dataset: Dataset, display: Display) -> Trained:
    if request.weights is not None and not any((request.budget, request.proof_budget)):  # only batch norm is recalibrated
        return Trained(TrainingRecord(processor.way(), "nothing was trained"), None)
    found = probe.adopt(request.network, dataset, max(1, processor.processors() // request.workers))
    for line in filter(None, (found.note, found.sentence)):
        display.say(line)
    return Trained(TrainingRecord(found.chosen, found.sentence), found.images_per_s)
