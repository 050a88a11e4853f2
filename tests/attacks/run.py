"""Thousands of broken files for every reader, and what came of them.

    python -m tests.attacks.run [--files=2000] [--seed=0] [--reader=NAME]

Exit code 1 when one gave a traceback, an unclear message or no end, or when a command was run or a file outside was written to; such a
file is kept in ``--keep``, to be put into ``tests/attacks/corpus/found/``.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from harness.files.numbers import whole
from tests.attacks import attack, breaking
from tests.attacks.registry import READERS


def main() -> int:
    """Attack, print, keep what was found."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--files", type=whole, default=2000, help="broken files in all")
    words.add_argument("--seed", type=whole, default=0)
    words.add_argument("--reader", help="only this one")
    words.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "espalier-attacks", help="where defects are kept")
    asked = words.parse_args()
    chance, tally, began = random.Random(asked.seed), attack.Tally(), time.monotonic()
    readers = [one for one in READERS if asked.reader in (None, one.name)]
    with tempfile.TemporaryDirectory() as folder:
        for reader in readers:
            for what in breaking.INSTEAD:
                attack.give_instead(reader, what, Path(folder), tally)
            for _ in range(-(-asked.files // len(readers)) - len(breaking.INSTEAD)):
                attack.give(reader, attack.broken(reader, chance), Path(folder), tally)
            kinds = Counter(one.kind for one in tally.seen if one.reader == reader.name)
            print(f"{reader.name:26} {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}", flush=True)
    for one in tally.defects:
        asked.keep.mkdir(parents=True, exist_ok=True)
        kept = asked.keep / f"{one.reader.replace(' ', '-')}-{hashlib.sha256(one.content).hexdigest()[:8]}"
        kept.write_bytes(one.content)
        print(f"{one.kind}: {one.reader}: {one.text}\n  {kept}")
    for told in (*tally.executed, *tally.overwritten):
        print(told)
    print(f"{tally.sentence} ({time.monotonic() - began:.0f} s)")
    return 1 if tally.defects or tally.executed or tally.overwritten else 0


if __name__ == "__main__":
    sys.exit(main())
