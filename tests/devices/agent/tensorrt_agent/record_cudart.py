"""Writes ``recorded_cudart.json``: the C functions of CUDA's runtime that the agent calls, as the headers in PyPI's wheels declare them.

pip download --no-deps nvidia-cuda-runtime-cu11 nvidia-cuda-runtime-cu12 "nvidia-cuda-runtime==13.*"
python -m tests.devices.agent.tensorrt_agent.record_cudart *.whl
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

RECORDED = Path(__file__).with_name("recorded_cudart.json")
_PROTOTYPE = re.compile(r"extern __host__ (?:__cudart_builtin__ )?(.+?)\s*CUDARTAPI (cuda\w+)\((.*?)\);", re.DOTALL)


def main() -> None:
    agent = Path(__file__).parents[4] / "harness" / "devices" / "agent" / "libcudart.py"
    wanted = sorted({*re.findall(r'"(cuda[A-Z]\w+)": \(', agent.read_text()), "cudaGetErrorString", "cudaGraphInstantiate"})
    found = dict(_of_wheel(Path(wheel), wanted) for wheel in sys.argv[1:])
    RECORDED.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")


def _of_wheel(path: Path, wanted: list[str]) -> tuple[str, dict[str, object]]:
    """``(CUDA's version, what its wheel declares and holds)``."""
    with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as folder:
        header = next(name for name in wheel.namelist() if name.endswith("cuda_runtime_api.h"))
        library = next(name for name in wheel.namelist() if re.search(r"libcudart\.so\.[\d.]+$", name))
        text = wheel.read(header).decode()
        exported = subprocess.run(["nm", "-D", wheel.extract(library, folder)], stdout=subprocess.PIPE, text=True, check=True).stdout
    declared = {name: f"{returns} ({' '.join(arguments.split())})" for returns, name, arguments in _PROTOTYPE.findall(text)}
    held = set(re.findall(r" T (cuda\w+?)(?:@@\S+)?$", exported, re.MULTILINE))
    lacking = [name for name in wanted if name not in held or name not in declared]
    if lacking:
        sys.exit(f"{path.name} lacks {', '.join(lacking)}")
    source = {"wheel": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "library": Path(library).name}
    return path.name.split("-")[1], {"source": source, "declared": {name: declared[name] for name in wanted}}


if __name__ == "__main__":
    main()
