"""Drives the shipped agent on the stand-in through its own protocol, a fault after the other, in one process of any Python from 3.6.

Reads a JSON list of cases from stdin, each ``{"precision", "options", "plan", "missing", "cuda", "onnx", "images", ...}``, and writes one
outcome a line: what was answered at the end, or at which request which error was. The release is that of STAND_IN_TENSORRT.
"""

import array
import base64
import json
import os
import sys
import tempfile

AGENT = sys.argv[1]
sys.path.insert(0, AGENT)
import serve  # noqa: E402

TIMING = {"rounds": 3, "min_s": 0.0, "warmup_s": 0.0, "warmup_rounds": 0, "pace_s": 0.0}


def main():
    import tegra_state
    import tensorrt

    library = tensorrt.CUDART
    tegra_state.ask = lambda command: ""  # neither nvpmodel nor nvidia-smi is asked, hundreds of times
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(json.load(sys.stdin)):
            print(json.dumps(outcome_of(case, tensorrt, library, os.path.join(folder, str(number)))))


def outcome_of(case, tensorrt, library, folder):
    """How the conversation of one case ends, and how many things of CUDA's are left."""
    taken = [take(tensorrt, path) for path in case.get("missing", [])]
    tensorrt.plan.clear()
    tensorrt.plan.update(case.get("plan", {}))
    library.standInForget()
    name, code, after = case.get("cuda", ["", 0, 0])
    library.standInFault(name.encode(), code, after)

    def sound():
        tensorrt.plan.clear()
        library.standInFault(b"", 0, 0)
        while taken:
            setattr(*taken.pop())

    try:
        outcome = converse(case, folder, sound)
    finally:
        sound()
    return dict(outcome, live=library.standInLive())


def take(tensorrt, path):
    """Take an attribute away, as if the release had none; what is to be put back."""
    place, names = tensorrt, path.split(".")
    for name in names[:-1]:
        place = getattr(place, name)
    found = vars(place)[names[-1]]
    delattr(place, names[-1])
    return place, names[-1], found


def converse(case, folder, sound):
    """Start, load, time, profile, answer, unload; ``sound`` ends the fault."""
    desk, step = serve.Desk(), ""
    options = dict({"cudart": os.environ["STAND_IN_CUDART"], "engine_cache": folder}, **case.get("options", {}))
    onnx, images = base64.b64decode(case["onnx"]), base64.b64decode(case["images"])
    wanted = {"name": "probe", "precision": case.get("precision", "f32"), "profile": True, "batch_size": 1}
    told = {}
    try:
        for step, header, blobs in (
            ("start", {"runtime": "tensorrt_runtime", "options": options}, []),
            ("load", {"wanted": wanted}, [onnx]),
            ("infer", {"model": 1, "timing": TIMING}, []),
            ("profile", {"model": 1, "inferences": 0}, []),
            ("load", {"wanted": dict(wanted, profile=False)}, [onnx]),
            ("infer", {"model": 2, "timing": TIMING}, []),
            ("outputs", {"model": 2, "shape": case["shape"]}, [images]),
            ("unload", {"model": 1}, []),
            ("unload", {"model": 2}, []),
        ):
            reply, out = desk.answer(dict(header, do=step), blobs)
            told.setdefault(step, []).append(reply)
            if step == "outputs":
                told["answers"] = list(array.array("f", out[0]))
            if step == "infer":
                told["wall"] = list(array.array("q", out[0]))
    except Exception as error:
        sound()
        for number in list(desk.models):  # what was loaded before goes on, and goes when it is told to
            desk.answer({"do": "unload", "model": number}, [])
        return {"step": step, "error": serve.describe_error(error)}
    return {"step": "end", "told": told}


if __name__ == "__main__":
    main()
