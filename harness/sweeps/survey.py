"""What can be pruned of the networks that people bring: forty and more of torchvision's and timm's, each in a process of its own.

``python -m harness.sweeps.survey`` writes ``reports/survey.md``: groups, the share of the operations that can go, removable branches,
whether a cut is the same as zeros in its place, whether the stated operations are those of the exported graph, and the seconds of a
processor that it took.
The exit code is 1 where a cut was not exact, operations were stated wrongly, or a network took longer than it may.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from harness.errors import HarnessError, UsageError, one_line
from harness.networks.channels.trial import EXACT_RATIO
from harness.records.stored_files import replace as replace_file
from harness.sweeps.surveyed import SIDE, TIMM, Surveyed, report

TELLING_RATIO = 1e-3  # of the largest logit, that a cut changes at least: less, and exactness says nothing
LIMIT_S = 60.0  # of a processor, for one network
TOO_LONG = "TOO LONG"
WAITING = 30.0  # times as long by the clock, for a busy machine
_TORCHVISION = (
    "alexnet vgg11_bn resnet18 resnet50 resnext50_32x4d mobilenet_v2 mobilenet_v3_small mobilenet_v3_large mnasnet1_0 "
    "densenet121 googlenet inception_v3 squeezenet1_1 efficientnet_b0 efficientnet_v2_s regnet_y_400mf regnet_x_800mf convnext_tiny "
    "shufflenet_v2_x1_0 vit_b_16 swin_t maxvit_t"
)
_TIMM = (
    "resnet18 resnet26d seresnet50 ecaresnet26t resnetv2_50 nf_resnet26 cspresnet50 darknet53 dla34 hrnet_w18_small repvgg_a0 "
    "mobilenetv3_small_100 mobilenetv4_conv_small efficientnet_b0 tf_efficientnet_b0 mixnet_s mnasnet_100 ghostnet_100 lcnet_050 "
    "fbnetc_100 regnetx_002 regnety_002 rexnet_100 ese_vovnet19b_dw convnext_atto convnextv2_atto mobilevit_xxs mobileone_s0 "
    "fastvit_t8 xception41 selecsls42 res2net50_26w_4s skresnet18 resnest14d tinynet_e hardcorenas_a gernet_s poolformer_s12 "
    "edgenext_xx_small vit_tiny_patch16_224 levit_128s inception_next_tiny"
)
NETWORKS = (*(f"torchvision:{name}" for name in _TORCHVISION.split()), *(f"{TIMM}{name}" for name in _TIMM.split()))
_HEAD = (
    "network",
    "pixels",
    "groups",
    "channels",
    "branches",
    "operations that can go",
    "left alone",
    "cut against zeros",
    "zeros against dense",
    "operations stated/counted",
    "grouping, s",
    "all, s",
    "why left alone, or refused",
)


def surveyed(name: str, limit_s: float = LIMIT_S) -> Surveyed:
    """The finding of a process of its own, ended after ``limit_s`` of a processor; whatever goes wrong there is a refusal, in one line."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.sweeps.surveyed"])  # torch is loaded once
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=report, args=(name, limit_s, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        found: Surveyed = ours.recv() if ours.poll(limit_s * WAITING) else Surveyed(name, SIDE, refusal=f"{TOO_LONG}: it sent no word")
    except EOFError:
        found = Surveyed(name, SIDE, whole_s=limit_s, refusal=f"{TOO_LONG}: it took more than {limit_s:g} s of a processor")
    process.kill()
    process.join()
    return replace(found, refusal=one_line(found.refusal), why=one_line(found.why))


def is_wrong(row: Surveyed) -> bool:
    """Whether something was found that must not be."""
    if row.refusal:
        return row.refusal.startswith((TOO_LONG, "TRACEBACK"))
    exact = row.difference_ratio <= EXACT_RATIO and row.change_ratio >= TELLING_RATIO  # what is no number is neither
    return not exact or row.macs != row.counted_macs


def kept(path: Path | None) -> dict[str, Surveyed]:
    """Findings that an earlier run left in ``path``, by network, the later of two; a line that it was killed in is left out.

    UsageError for a file that holds something else.
    """
    found: dict[str, Surveyed] = {}
    if path is None or not path.exists():
        return found
    try:
        *whole, _ = path.read_text(encoding="utf-8").split("\n")
        for row in (Surveyed(**json.loads(line)) for line in whole if line):
            found[row.network] = row
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} holds no findings of a survey ({error}); give another file with --keep") from error
    return found


def keep(path: Path, row: Surveyed) -> None:
    """Add a finding; UsageError where the file cannot be written."""
    line = json.dumps(asdict(row)) + "\n"
    try:
        whole = path.read_text(encoding="utf-8").rpartition("\n") if path.exists() else ("", "", "")
        replace_file(path, ("".join(whole[:2]) + line).encode())
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}); give another file with --keep") from error


def page(rows: Iterable[Surveyed]) -> str:
    """The table in Markdown, with what it sums up to."""
    found = list(rows)
    pruned = [row for row in found if not row.refusal]
    lines = [
        "# What can be pruned of other people's networks",
        "",
        f"{len(found)} networks of torchvision and timm, random weights, normalisation calibrated; written by "
        f"`python -m harness.sweeps.survey`. {len(pruned)} can be pruned, {len(found) - len(pruned)} are refused; "
        f"{sum(row.branches > 0 for row in pruned)} have removable branches. {sum(map(is_wrong, found))} are wrong: a cut is not the same "
        f"as zeros in its place (float rounding: {EXACT_RATIO:g} of the largest logit), stated and counted operations differ (of the dense "
        f"and of the cut network), a traceback, or more than {LIMIT_S:g} s of a processor. "
        "*Zeros against dense* says that the cut changes the answers, without which exactness would say nothing.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|---|" + "--:|" * (len(_HEAD) - 2) + "---|",
    ]
    return "\n".join([*lines, *(_row(row) for row in found), ""])


def _row(row: Surveyed) -> str:
    if row.refusal:
        cells = [row.network, str(row.side), *["—"] * (len(_HEAD) - 4), f"{row.whole_s:.1f}", f"refused: {row.refusal}"]
    else:
        counted = "equal" if row.macs == row.counted_macs else f"{row.macs / max(row.counted_macs, 1):.3f}"
        cells = [
            *(row.network, str(row.side), str(row.groups), str(row.channels), str(row.branches)),
            *(f"{row.prunable_ratio:.1%}", str(row.left_out), f"{row.difference_ratio:.0e}", f"{row.change_ratio:.2f}", counted),
            *(f"{row.grouping_s:.1f}", f"{row.whole_s:.1f}", row.why),
        ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(words: Sequence[str] | None = None) -> int:
    """Survey the networks that are named, or all, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m harness.sweeps.survey", description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help="torchvision:NAME or timm:NAME (default: all of the survey)")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where survey.md is written")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep every finding there, and go on with those that it holds")
    asked = parser.parse_args(words)
    try:
        return _all_surveyed(asked.networks, asked.reports, asked.keep)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _all_surveyed(networks: Sequence[str], reports: Path, store: Path | None) -> int:
    reports.mkdir(parents=True, exist_ok=True)
    path, known = reports / "survey.md", kept(store)
    rows = []
    for name in networks:
        rows.append(known[name] if name in known else surveyed(name))
        if store is not None and name not in known:
            keep(store, rows[-1])
        print(_row(rows[-1]), flush=True)
        path.write_text(page(rows), encoding="utf-8")  # what is there so far
    print(f"written: {path}")
    return int(any(map(is_wrong, rows)))


if __name__ == "__main__":
    sys.exit(main())
