"""Mutation check of our own criteria, schedules and choice: every small error must make a literature test fail.

    python tests/literature/mutants.py [--only NAME]

Works on a copy of the checkout in a temporary folder. Prints what killed each mutant, and writes all of them to
``reports/distiller/mutants.md``; exit code 1 when one survives.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "reports" / "distiller" / "mutants.md"
# The tests of this folder that concern ours; live Distiller and controls do not.
SELECTION = (
    "tests/literature/test_laws.py", "tests/literature/test_published_numbers.py", "tests/literature/test_distiller_claims.py",
    "-k", "(test_the_law_holds and ours) or test_published_numbers or (test_recorded and learning)",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One textual change of one line of ours, which must occur exactly once."""

    file: str
    before: str
    after: str

    @property
    def name(self) -> str:
        return f"{Path(self.file).stem}: {self.before.strip()} -> {self.after.strip()}"


CRITERIA, LINEAGE = "harness/pruning/criteria.py", "harness/pruning/lineage.py"
SCHEDULE, SURGERY = "harness/pruning/schedule.py", "harness/pruning/surgery.py"

MUTANTS = (
    Mutant(CRITERIA, "subject.filters(name).abs().sum(1)", "subject.filters(name).sum(1)"),
    Mutant(CRITERIA, "subject.filters(name).abs().sum(1)", "-subject.filters(name).abs().sum(1)"),
    Mutant(CRITERIA, "subject.filters(name).abs().sum(1)", "subject.filters(name).abs().amax(1)"),
    Mutant(CRITERIA, "subject.filters(name).abs().sum(1)", "subject.filters(name).square().sum(1)"),
    Mutant(CRITERIA, "subject.filters(name).square().sum(1).sqrt()", "subject.filters(name).abs().sum(1)"),
    Mutant(CRITERIA, "subject.filters(name).square().sum(1).sqrt()", "-subject.filters(name).square().sum(1).sqrt()"),
    Mutant(CRITERIA, "subject.filters(name).square().sum(1).sqrt()", "subject.filters(name).sum(1).abs()"),
    Mutant(CRITERIA, "compute_mode=exact).sum(1)", "compute_mode=exact).square().sum(1)"),
    Mutant(CRITERIA, "torch.cdist(found, found, compute_mode=exact).sum(1)", "torch.cdist(found, found, p=1.0).sum(1)"),
    Mutant(CRITERIA, "compute_mode=exact).sum(1)", "compute_mode=exact).amax(1)"),
    Mutant(CRITERIA, "torch.cdist(found, found, compute_mode=exact).sum(1)", "-torch.cdist(found, found, compute_mode=exact).sum(1)"),
    Mutant(CRITERIA, "torch.cdist(found, found, compute_mode=exact).sum(1)", "torch.cdist(found.abs(), found.abs()).sum(1)"),
    Mutant(CRITERIA, "return gamma / sigma", "return gamma"),
    Mutant(CRITERIA, "return gamma / sigma", "return gamma / sigma**2"),
    Mutant(CRITERIA, "(variance.double().cpu() + norm.eps)", "variance.double().cpu()"),
    Mutant(CRITERIA, "(activation != 0).double()", "(activation == 0).double()"),
    Mutant(CRITERIA, "(activation != 0).double()", "(activation >= 0).double()"),
    Mutant(CRITERIA, "(activation != 0).double()", "activation.double()"),
    Mutant(CRITERIA, "lambda activation: activation.double())", "lambda activation: -activation.double())"),
    Mutant(CRITERIA, "lambda activation: activation.double())", "lambda activation: activation.double().square())"),
    Mutant(CRITERIA, "lambda activation: activation.double())", "lambda activation: (activation > 0).double())"),
    Mutant(CRITERIA, "statistic.sum(1).cpu()", "statistic.amax(1).cpu()"),
    Mutant(CRITERIA, "gradient.double().cpu().square()", "gradient.double().cpu()"),
    Mutant(CRITERIA, "gradient.double().cpu().square()", "-gradient.double().cpu().square()"),
    Mutant(CRITERIA, "modules[norms.get(name, name)]", "modules[name]"),
    Mutant(CRITERIA, "return output * gate.view", "return output + gate.view"),
    Mutant(CRITERIA, "nn.functional.cross_entropy(subject.model(images), labels)", "subject.model(images).sum()"),
    Mutant(CRITERIA, "scale.detach().double().cpu().abs()", "scale.detach().double().cpu()"),
    Mutant(CRITERIA, "scale.detach().double().cpu().abs()", "-scale.detach().double().cpu().abs()"),
    Mutant(CRITERIA, "modules[norm].weight for", "modules[norm].bias for"),
    Mutant(CRITERIA, "manual_seed(subject.seed)", "manual_seed(0)"),
    Mutant(CRITERIA, "    model.eval()\n", "    model.train()\n"),
    Mutant(CRITERIA, "torch.stack(found).sum(0)", "torch.stack(found)[0]"),
    Mutant(CRITERIA, "torch.stack(found).sum(0)", "torch.stack(found).amax(0)"),
    Mutant(CRITERIA, ".detach().double().cpu().flatten(1)", ".detach().double().cpu().flatten(1)[:, :1]"),
    Mutant(LINEAGE, '{"relu", "relu_"', '{"relu_"'),
    Mutant(LINEAGE, '_TRANSPARENT = frozenset({"batch_norm", ', "_TRANSPARENT = frozenset({"),
    Mutant(LINEAGE, "            self._settle(waiting, result)", "            self._settle(waiting, sources[0])"),
    Mutant(SCHEDULE, "(1 - step / steps) ** 3", "(1 - step / steps) ** 2"),
    Mutant(SCHEDULE, "return final + (initial - final)", "return initial + (final - initial)"),
    Mutant(SCHEDULE, "(1 - step / steps) ** 3", "(1 - step / (steps + 1)) ** 3"),
    Mutant(SCHEDULE, "math.floor(sparsity * channels)", "math.ceil(sparsity * channels)"),
    Mutant(SCHEDULE, "math.floor(sparsity * channels)", "round(sparsity * channels)"),
    Mutant(SCHEDULE, "if group.name in site.in_groups and", "if group.name not in site.in_groups and"),
    Mutant(SCHEDULE, "width - zero.get(name, 0)", "width + zero.get(name, 0)"),
    Mutant(SCHEDULE, "base * float(gamma**epoch)", "base * float(gamma ** (epoch + 1))"),
    Mutant(SCHEDULE, "sum(epoch >= milestone", "sum(epoch > milestone"),
    Mutant(SCHEDULE, "(1 + math.cos(math.pi", "(1 - math.cos(math.pi"),
    Mutant(SCHEDULE, "(1 - done) **", "(1 + done) **"),
    Mutant(SCHEDULE, "strict=True) if epoch >= milestone]", "strict=True) if epoch > milestone]"),
    Mutant(SCHEDULE, "updates[-1] + 1, base)", "updates[-1], base)"),
    Mutant(SURGERY, "torch.sort(part, descending=True, stable=True)", "torch.sort(part, descending=False, stable=True)"),
    Mutant(SURGERY, ".indices[: count // group.step]", ".indices[: count // group.step - 1]"),
)  # fmt: skip


def verdict(mutant: Mutant, copy: Path) -> str:
    """The first test that failed on the mutant, or an empty text when none did."""
    path = copy / mutant.file
    original = path.read_text()
    if original.count(mutant.before) != 1:
        raise SystemExit(
            f"{mutant.name}: {mutant.before!r} stands {original.count(mutant.before)} times in {mutant.file}; correct the list"
        )
    path.write_text(original.replace(mutant.before, mutant.after))
    try:
        answer = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *SELECTION],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "DISTILLER_HOME": ""},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.write_text(original)
    killed = re.search(r"^(?:FAILED|ERROR) (\S+?)(?: - .*)?$", answer.stdout, re.MULTILINE)
    if killed is None and answer.returncode != 0:
        raise SystemExit(f"{mutant.name}: the tests did not run:\n{answer.stdout[-2000:]}{answer.stderr[-2000:]}")
    return killed.group(1).removeprefix("tests/literature/") if killed else ""


def page(killers: dict[Mutant, str]) -> str:
    """The page: every mutant with the first test that failed on it."""
    survivors = sum(not killer for killer in killers.values())
    told = f"{survivors} of them survived" if survivors else "each made a literature test fail"
    rows = [
        f"| {number} | `{mutant.name}` | {f'`{killer}`' if killer else '**survives**'} |"
        for number, (mutant, killer) in enumerate(killers.items(), 1)
    ]
    return "\n".join(
        [
            "# Mutants of our criteria, schedules and choice",
            "",
            f"{len(killers)} small errors put into a copy of `harness/pruning`, one at a time; {told}. Made by",
            "`python tests/literature/mutants.py`.",
            "",
            "| | mutant | first test that failed |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", metavar="NAME", help="mutants whose name contains this; writes no page")
    only = parser.parse_args().only
    killers: dict[Mutant, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "checkout")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "reports", "*.egg-info"))
        if unchanged := verdict(Mutant(CRITERIA, "CALIBRATION_BATCH = 64 ", "CALIBRATION_BATCH = 64  "), copy):
            raise SystemExit(f"the tests fail without a mutant: {unchanged}")
        for mutant in (mutant for mutant in MUTANTS if only in mutant.name):
            killers[mutant] = verdict(mutant, copy)
            print(f"{len(killers):2d} {f'killed by {killers[mutant]}' if killers[mutant] else 'SURVIVES'}: {mutant.name}", flush=True)
    survivors = sum(not killer for killer in killers.values())
    print(f"{len(killers) - survivors} of {len(killers)} mutants killed")
    if not only:
        PAGE.write_text(page(killers))
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 1 if survivors or not killers else 0


if __name__ == "__main__":
    sys.exit(main())
