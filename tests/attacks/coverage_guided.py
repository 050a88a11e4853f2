"""Broken files led by what of our code they reach, by hand, where atheris is installed (``pip install atheris``):

    python -m tests.attacks.coverage_guided journal -max_total_time=600

The first word is a reader's name; the others are libFuzzer's. A file that is a defect is kept in ``tests/attacks/corpus/found/``, which the
suite gives to its reader from then on.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["harness.files", "harness.records", "harness.pruning", "search.records"]):
    from tests.attacks import attack
    from tests.attacks.registry import READERS
    from tests.attacks.seeds import CORPUS


def main() -> None:
    """Fuzz one reader until libFuzzer's own limit."""
    reader = next(one for one in READERS if one.name == sys.argv[1])
    seeds, place = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    (seeds / "seed").write_bytes(reader.seed())
    known: set[str] = set()

    def target(content: bytes) -> None:
        seen = attack.give(reader, content, place, attack.Tally())
        if seen.kind in (attack.TAKEN, attack.REFUSED) or seen.text[:60] in known:
            return
        known.add(seen.text[:60])
        kept = CORPUS / "found" / f"{reader.name.replace(' ', '-')}-{hashlib.sha256(content).hexdigest()[:8]}"
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(content)
        print(f"{seen.kind}: {seen.text}\n  {kept}", flush=True)

    atheris.Setup([sys.argv[0], str(seeds), *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
