"""Time one loaded network by the product's own loop and by the loop of OpenVINO's benchmark_app, in turns: a script, one JSON line.

Both time the same infer request in the same process, so that what a compilation or a processor happens to be like is the same for
both; what differs is how they measure. ``ours_s``, ``theirs_s``: medians, one of each per pair of turns.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

AGENT = Path(__file__).parent.parent.parent / "harness" / "devices" / "agent"
COMPILATIONS = 3  # pairs are spread over fresh ones


class Images:
    """What the vendor's loop asks for how many images an inference takes."""

    def get_next_batch_size(self) -> int:
        return 1


def main(model: str, pairs: int, rounds: int) -> None:
    sys.path.insert(0, str(AGENT))
    import openvino_runtime  # type: ignore[import-not-found]
    from openvino.tools.benchmark.benchmark import Benchmark

    runtime = openvino_runtime.Runtime({"device": "CPU", "threads": 1, "nice": -15})
    vendor = Benchmark("CPU", 1, rounds, api_type="sync", inference_only=True)
    timing = {"rounds": rounds, "min_s": 0.0, "warmup_s": 0.0, "warmup_rounds": 10, "pace_s": 0.0}
    ours: list[float] = []
    theirs: list[float] = []
    facts: dict[str, object] = {}

    def measure_ours() -> None:
        samples, _ = loaded.infer(timing)
        ours.append(statistics.median(samples.wall) * 1e-9)

    def measure_theirs() -> None:
        for _ in range(timing["warmup_rounds"]):  # type: ignore[call-overload]
            loaded.request.infer()
        theirs.append(vendor.main_loop([loaded.request], Images(), [1], 50, False)[1] * 1e-3)

    for pair in range(pairs):
        if pair % -(-pairs // COMPILATIONS) == 0:
            loaded = runtime.load(Path(model).read_bytes(), {"precision": "f32", "profile": False, "batch_size": 1})
            loaded.infer({**timing, "warmup_s": 0.2, "rounds": 1})
            facts = loaded.facts()
        for turn in (measure_ours, measure_theirs) if pair % 2 == 0 else (measure_theirs, measure_ours):
            turn()
    print(json.dumps({"ours_s": ours, "theirs_s": theirs, **facts}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
