"""Every reader of a file that may come from somebody else, with a whole file for it, and how that file is broken.

A module of the product that reads such a file and stands neither here nor in ``EXEMPT`` of ``test_broken_files.py`` fails there.
"""

from __future__ import annotations

import gzip
import json
from types import SimpleNamespace

import safetensors.torch

from harness import packing
from harness.compare import profiles
from harness.networks.pictures import decoding, idx_files
from harness.networks.tasks import mask_values
from harness.networks.weights import weights_file
from harness.pruning import saved, schedule_text
from harness.quantisation.__main__ import _preparation
from harness.records import benchmark_json
from harness.records.preprocessing import Preprocessing
from harness.records.pruning_config import PruningConfig
from harness.sweeps import survey, tally
from harness.training import device_accuracy
from harness.training.checkpoint import Checkpoint
from harness.verification import distiller_checkpoint
from search.race import limit_calibration, race
from search.records import journal, outcome, recipe_record, sensitivity_record, training_record, tuned_store
from search.records.request import Request
from tests.attacks import breaking, seeds, ways
from tests.attacks.reader import BYTES, JSON, LINES, TEXT, Reader
from tests.attacks.ways import ROOT

CAMPAIGN = ("contenders.json", "proof.json", "measurements.json", "journal.jsonl", "request.json")


READERS = (
    Reader(
        "journal",
        "journal.jsonl",
        ("search.records.journal",),
        seeds.corpus("journal.jsonl"),
        LINES,
        lambda path: journal.read(path.parent),
    ),
    Reader(
        "journal reopened",
        "journal.jsonl",
        ("search.records.journal",),
        seeds.corpus("journal.jsonl"),
        LINES,
        lambda path: journal.Journal.reopen(path.parent)[0].close(),
    ),
    Reader(
        "request",
        "request.json",
        ("search.records.folder", "search.records.whole_file"),
        seeds.corpus("request.json"),
        JSON,
        ways.requested,
    ),
    Reader(
        "contenders",
        "contenders.json",
        ("search.records.outcome",),
        seeds.corpus("contenders.json"),
        JSON,
        lambda path: outcome.read(path.parent),
    ),
    Reader(
        "recipe",
        "recipe.json",
        ("search.records.recipe_record",),
        seeds.document(seeds.RECORD),
        JSON,
        lambda path: recipe_record.read(path.parent),
    ),
    Reader(
        "sensitivity",
        "sensitivity.json",
        ("search.records.sensitivity_record",),
        seeds.document({"schema": 1, "losses": [{"group": "a", "channels": 4, "points": 1.5}], "images": 9, "seconds": 1.0, "share": 0.1}),
        JSON,
        lambda path: sensitivity_record.read(path.parent),
    ),
    Reader(
        "training",
        "training.json",
        ("search.records.training_record",),
        seeds.document({"schema": 1, "way": {"precision": "f32", "channels_last": True, "threads": 2}, "sentence": "fast"}),
        JSON,
        lambda path: training_record.read(path.parent),
    ),
    Reader("proof", "proof.json", ("harness.records.benchmark_json",), seeds.corpus("proof.json"), JSON, benchmark_json.read),
    Reader(
        "measurements",
        "measurements.json",
        ("harness.records.benchmark_json",),
        seeds.corpus("measurements.json"),
        JSON,
        benchmark_json.read,
    ),
    Reader("packing", "proof.json", ("harness.packing",), seeds.corpus("proof.json"), JSON, packing.pack),
    Reader(
        "packed proof",
        "packed.json",
        ("harness.files.packed_numbers",),
        seeds.corpus("packed.json"),
        JSON,
        benchmark_json.read,
        ("packed.samples.gz",),
    ),
    Reader(
        "packed samples",
        "packed.samples.gz",
        ("harness.files.packed_numbers",),
        seeds.corpus("packed.samples.gz"),
        BYTES,
        lambda path: packing.unpack(path.with_name("packed.json")),
        ("packed.json",),
    ),
    Reader("shown contenders", "contenders.json", (), seeds.corpus("contenders.json"), JSON, ways.shown, CAMPAIGN),
    Reader("shown journal", "journal.jsonl", (), seeds.corpus("journal.jsonl"), LINES, ways.shown, CAMPAIGN),
    Reader(
        "judged",
        "judged.json",
        ("search.records.tuned_store",),
        seeds.document({"entrant": "a", "recipe": "{}", "validation": seeds.ACCURACY}),
        JSON,
        lambda path: tuned_store.find(path.parent, 0),
    ),
    Reader("config", "config.json", ("harness.records.pruning_config",), seeds.document(seeds.CONFIG), JSON, PruningConfig.read),
    Reader("saved network", "config.json", ("harness.pruning.saved",), seeds.document(seeds.CONFIG), JSON, saved.load),
    Reader(
        "preprocessing",
        "way.json",
        ("harness.records.preprocessing",),
        seeds.document(seeds.PREPROCESSING),
        JSON,
        lambda path: Preprocessing.of_canonical(ways.text(path)),
    ),
    Reader(
        "config beside a network",
        "config.json",
        ("harness.quantisation.__main__",),
        seeds.document({**seeds.CONFIG, "preprocessing": seeds.PREPROCESSING}),
        JSON,
        lambda path: _preparation(path.with_name("net.onnx"), SimpleNamespace(input_shape=(1, 1, 8, 8))),  # type: ignore[arg-type]
    ),
    Reader(
        "schedule",
        "schedule.yaml",
        ("harness.pruning.schedule_text",),
        (ROOT / "harness/pruning/schedules/resnet20-agp_4.yaml").read_bytes,
        TEXT,
        lambda path: schedule_text.parse(ways.text(path), path.name),
    ),
    Reader(
        "device tables",
        "pyproject.toml",
        ("harness.files.toml_text", "harness.devices.spec", "harness.compare.limits", "harness.compare.applied"),
        seeds.DEVICES.encode,
        TEXT,
        ways.toml,
    ),
    Reader(
        "safetensors",
        "weights.safetensors",
        ("harness.networks.weights.safe_reading",),
        lambda: safetensors.torch.save(seeds.tensors()),
        BYTES,
        weights_file.read,
    ),
    Reader(
        "weights",
        "weights.pt",
        ("harness.networks.weights.safe_reading",),
        lambda: seeds.saved({"state_dict": seeds.tensors(), "epoch": 3}),
        (breaking.broken_bytes, seeds.hostile_pickle),
        weights_file.read,
    ),
    Reader(
        "distiller's checkpoint",
        "best.pth.tar",
        ("harness.verification.distiller_checkpoint",),
        lambda: seeds.saved(
            {"state_dict": seeds.tensors(), "arch": "resnet20_cifar", "compression_sched": {"masks_dict": {"a": None}}, "epoch": 3}
        ),
        (breaking.broken_bytes, seeds.hostile_pickle),
        distiller_checkpoint.read,
    ),
    Reader(
        "training half-way",
        "point.pt",
        ("harness.training.checkpoint",),
        lambda: seeds.saved({"schema": 1, "identity": "i", "model": {}}),
        (breaking.broken_bytes, seeds.hostile_pickle),
        lambda path: Checkpoint(path, "i")._read(),
    ),
    Reader(
        "exported network",
        "net.onnx",
        ("harness.networks.export", "harness.networks.foreign.fixing", "harness.networks.foreign.layers"),
        seeds.onnx,
        BYTES,
        lambda path: ways.exported(path),
    ),
    Reader(
        "host's answers",
        "net.logits.npy",
        ("harness.training.device_accuracy",),
        seeds.npy,
        (breaking.broken_bytes, seeds.hostile_pickle),
        lambda path: device_accuracy.host_answers(path.with_name("net.onnx")),
    ),
    Reader(
        "idx",
        "train-labels-idx1-ubyte.gz",
        ("harness.networks.pictures.idx_files",),
        lambda: gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4])),
        BYTES,
        lambda path: idx_files.read_labels(path.parent, "train", 10),
    ),
    Reader(
        "engine's profile",
        "profile.json",
        ("harness.compare.profiles",),
        seeds.document([{"count": 9}, {"name": "conv", "timeMs": 9.0, "averageMs": 1.0, "medianMs": 1.0, "percentage": 100.0}]),
        JSON,
        lambda path: profiles.read(str(path)),
    ),
    Reader(
        "mask",
        "a.png",
        ("harness.networks.tasks.mask_values",),
        seeds.picture,
        BYTES,
        lambda path: mask_values.read(path, path),
    ),
    Reader("picture", "a.png", ("harness.networks.pictures.decoding",), seeds.picture, BYTES, lambda path: decoding.depths([path])),
    Reader("sizes", "a.png", ("harness.networks.pictures.decoding",), seeds.picture, BYTES, lambda path: decoding.sizes([path])),
    Reader(
        "agent's reply",
        "reply.json",
        ("harness.devices.frames",),
        seeds.document({**seeds.REPLIES, "blobs": [32, 32, 32, 32]}),
        JSON,
        ways.agent,
    ),
    Reader(
        "stored baseline",
        "base.json",
        ("harness.training.stored_baseline", "harness.training.recipes"),
        seeds.document(seeds.DESCRIPTION),
        JSON,
        ways.described,
    ),
    Reader(
        "calibration",
        "calibration.jsonl",
        ("harness.sweeps.tally",),
        lambda: f'{{"what": "x"}}\n{json.dumps(seeds.COMPARISON)}\n'.encode(),
        LINES,
        lambda path: tally.read(path, "x"),
    ),
    Reader(
        "races",
        "runs.jsonl",
        ("search.race.race",),
        lambda: (json.dumps(seeds.RUN) + "\n" + json.dumps(seeds.RUN) + "\n").encode(),
        LINES,
        race.read,
    ),
    Reader(
        "limit calibration",
        "campaigns.jsonl",
        ("search.race.limit_calibration",),
        lambda: b'{"seed": 0, "most_folds": 4}\n{"seed": 1, "most_folds": 4}\n',
        LINES,
        lambda path: limit_calibration.read(path, Request()),
    ),
    Reader("survey", "kept.jsonl", ("harness.sweeps.survey",), seeds.surveyed, LINES, survey.kept),
)
