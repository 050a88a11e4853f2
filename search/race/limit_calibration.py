"""Does a chosen network keep its limit as surely as it is said? Many small campaigns, real ones or simulated.

``python -m search.race.limit_calibration --campaigns=30`` runs real ones on digits, each divided anew, and prints how often the test drop
exceeds the limit and how much of that the test split explains; each is a line of ``campaigns.jsonl``, and what is there is not run again.
``--simulated=200`` makes campaigns up whose true drops are known.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from harness.errors import CampaignError, HarnessError, RecordError
from harness.files import json_text, reading
from harness.files.numbers import option
from harness.records.decoding import decode
from search.race import limit_campaign, simulated_limits
from search.race.limit_campaign import Row
from search.race.simulated_limits import World
from search.records import folder as folders
from search.records.checks import checked
from search.records.losses import exceedance
from search.records.request import Request

FILE = "campaigns.jsonl"
TRIALS, EPOCHS = 12, 3.0


def read(path: Path, asked: Request) -> tuple[Row, ...]:
    """The finished campaigns of this limit, certainty and so many folds at most; a last line that was cut off is left out.

    CampaignError for another line that is no campaign.
    """
    try:
        rows, lines = [], reading.text(path).splitlines() if path.is_file() else []
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path} holds no campaigns ({error}); give another --folder") from error
    for number, line in enumerate(lines, start=1):
        try:
            if not isinstance(document := json_text.parse(line), dict):
                raise ValueError("it is no object")
            most = document.pop("most_folds")
            row = decode(Row, document, "it", "remove the line")
        except (ValueError, KeyError, TypeError, AttributeError, RecordError) as error:
            if number == len(lines):
                continue
            why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise CampaignError(f"{path}, line {number} is no campaign ({why}); remove the line, or give another --folder") from error
        if (row.limit_points, row.certainty, most) == (asked.drop_limit_points, asked.certainty, asked.folds):
            rows.append(row)
    return tuple(rows)


def run(count: int, folder: Path, asked: Request) -> tuple[Row, ...]:
    """So many campaigns, those that ``folder`` holds included; each new one is written as soon as it is over."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    known = {row.seed: row for row in read(path, asked)}
    if path.is_file() and not path.read_text().endswith("\n"):  # killed while it wrote
        path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:-1]))
    for seed in range(count):
        if seed in known:
            continue
        with tempfile.TemporaryDirectory(prefix="espalier-limit-") as scratch:
            known[seed] = limit_campaign.run(seed, Path(scratch), asked)
        with path.open("a") as stream:
            stream.write(json.dumps({**asdict(known[seed]), "most_folds": asked.folds}) + "\n")
        print(_line(known[seed]), flush=True)
    return tuple(known[seed] for seed in range(count))


def report(rows: Sequence[Row]) -> list[str]:
    """What the campaigns say about the choice, and about what would have been chosen by the drop seen."""
    limit, certainty = rows[0].limit_points, rows[0].certainty
    sure = [row for row in rows if row.chance >= certainty]
    lines = [f"limit {limit:g} points, certainty {certainty:g}: reached by {len(sure)} of {len(rows)} campaigns"]
    for what, some in (("those", sure), ("all", list(rows))):
        if some:
            ratio = float(np.median([row.latency_ratio for row in some]))
            said = float(np.mean([1 - row.chance for row in some]))
            judged = exceedance.of([row.paired for row in some], limit).sentence
            lines.append(f"{what}: {judged}; {said:.1%} was said; latency {ratio:.2f} of dense (SIMULATED)")
    naive = [(row.naive, row.naive_latency_ratio) for row in rows if row.naive is not None]
    if naive:
        judged = exceedance.of([lost for lost, _ in naive if lost is not None], limit).sentence
        ratio = float(np.median([ratio for _, ratio in naive]))
        lines.append(f"the fastest finalist seen within the limit: {judged}; latency {ratio:.2f} of dense (SIMULATED)")
    folds, spent = (float(np.mean([getattr(row, name) for row in rows])) for name in ("folds", "seconds"))
    return [*lines, f"{folds:.1f} folds and {spent:.0f} s a campaign in the mean"]


def _line(row: Row) -> str:
    lost = row.paired.drop
    return (
        f"{row.seed}: latency {row.latency_ratio:.2f} of dense, probability {row.chance:.2f} ({row.folds} folds), test drop "
        f"{lost.points:+.2f} ({lost.low:+.2f} to {lost.high:+.2f}), {row.seconds:.0f} s"
    )


def main(words: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m search.race.limit_calibration", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--campaigns",
        type=option("campaigns"),
        default=30,
        help="real campaigns on digits, those in --folder included (default: 30)",
    )
    parser.add_argument("--simulated", type=option("simulated"), help="campaigns to make up instead, for every certainty")
    parser.add_argument("--max-drop", type=option("max-drop"), default=1.0, help="the limit, in points (default: 1)")
    parser.add_argument("--certainty", type=option("certainty"), default=Request.certainty, help="as of a campaign (default: %(default)s)")
    parser.add_argument("--folds", type=option("folds"), default=Request.folds, help="as of a campaign (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("reports/limit-calibration"), help="where finished campaigns are kept")
    given = parser.parse_args(words)
    try:
        wanted = Request(max_drop=given.max_drop, certainty=given.certainty, folds=given.folds, trials=TRIALS)
        asked = checked(Request(**{**vars(wanted), "budget": EPOCHS, "proof_budget": EPOCHS}))
        if given.simulated is not None:
            print(*simulated_limits.table(World(limit_points=given.max_drop), given.simulated), sep="\n")
        else:
            folders.writable(given.folder, "--folder")
            print(*report(run(given.campaigns, given.folder, asked)), sep="\n")
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
