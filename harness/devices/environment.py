"""Creates the interpreter that a device needs beside ours: ``python -m harness.devices.environment ncs2``.

The last OpenVINO with the MYRIAD plugin on PyPI is 2021.4.2, which needs Python 3.6 to 3.9. Its licence does not let us
ship it, so it goes into a virtual environment of the user's.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DeviceUnavailable, HarnessError, UnknownName
from harness.files import user_folders

UDEV_RULES = Path("/etc/udev/rules.d/97-myriad-usbboot.rules")
UDEV_TEXT = (
    'SUBSYSTEM=="usb", ATTRS{idProduct}=="2485", ATTRS{idVendor}=="03e7", GROUP="users", MODE="0666", ENV{ID_MM_DEVICE_IGNORE}="1"\n'
    'SUBSYSTEM=="usb", ATTRS{idProduct}=="f63b", ATTRS{idVendor}=="03e7", GROUP="users", MODE="0666", ENV{ID_MM_DEVICE_IGNORE}="1"\n'
)
PIP_TIMEOUT_S = 900.0

# Prints one line "KEY text" per fact; run by the new interpreter itself.
NCS2_CHECK = """
import ctypes
try:
    import libusb_package
    ctypes.CDLL(str(libusb_package.get_library_path()), ctypes.RTLD_GLOBAL)
except ImportError:
    pass
from openvino.inference_engine import IECore
core = IECore()
print("plugin " + core.get_versions("MYRIAD")["MYRIAD"].build_number)
print("sticks " + " ".join(name for name in core.available_devices if name.startswith("MYRIAD")))
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an environment is made of: Python versions in order of preference, requirements, and its proof."""

    name: str
    directory: Path
    pythons: tuple[str, ...]
    machines: tuple[str, ...]
    requirements: tuple[str, ...]
    check: str


RECIPES = {
    "ncs2": Recipe(
        "ncs2",
        user_folders.cache() / "ncs2",  # never beside the program, which may lie in somebody's site-packages
        ("3.8", "3.9", "3.7", "3.6"),
        ("x86_64", "AMD64"),
        ("openvino==2021.4.2", "numpy<1.20", "libusb-package==1.0.26.4"),
        NCS2_CHECK,
    )
}

Tell = Callable[[str], None]


def create(recipe: Recipe, python: str | None = None, tell: Tell = print) -> str:
    """Make the environment, or check the one that is there; returns what its proof printed.

    python: the interpreter to use instead of looking for one. DeviceUnavailable says what is missing and how to get it.
    """
    if platform.machine() not in recipe.machines:
        raise DeviceUnavailable(f"{recipe.requirements[0]} has no build for {platform.machine()}; use a machine with {recipe.machines[0]}")
    interpreter = recipe.directory / "bin" / "python"
    if not interpreter.exists():
        base = python or find_python(recipe.pythons)
        tell(f"creating {recipe.directory} with {base}")
        _run([base, "-m", "venv", "--clear", str(recipe.directory)], f"{base} cannot create an environment; install its venv package")
    if not _has(interpreter, recipe.requirements):
        tell(f"installing {', '.join(recipe.requirements)}")
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--upgrade", "pip"], "pip cannot reach the package index; check the network")
        _run([*pip, *recipe.requirements], "pip cannot install the requirements; check the network and the package index")
    return _run([str(interpreter), "-c", recipe.check], f"the environment does not work; delete {recipe.directory} and run this again")


def find_python(versions: Sequence[str], places: Iterable[Path] | None = None) -> str:
    """An interpreter of one of ``versions``, earlier ones first, that can make virtual environments; DeviceUnavailable if none."""
    candidates = [path for path in (_places() if places is None else places) if os.access(path, os.X_OK)]
    told = {path: _version(path) for path in candidates}
    for version in versions:
        for path, found in told.items():
            if found == version:
                return str(path)
    seen = ", ".join(sorted({found for found in told.values() if found})) or "none"
    wanted = f"{min(versions, key=_order)} to {max(versions, key=_order)}"
    raise DeviceUnavailable(
        f"no Python {wanted} with venv was found (there is {seen}); install one (pyenv install {versions[0]}) and run this again"
    )


def advice(proof: str) -> tuple[str, ...]:
    """What a person should know after ``create("ncs2")``: sticks found, and what a stick still needs."""
    lines = dict(line.split(" ", 1) for line in proof.splitlines() if " " in line)
    sticks = lines.get("sticks", "").split()
    told = [f"plugin {lines.get('plugin', 'unknown')}"]
    if sticks:
        return (*told, f"found {', '.join(sticks)}: pytest bench/ --device=ncs2")
    told.append("no stick on USB: pytest bench/ --device=ncs2 --compile-only uses the real compiler without one")
    if not UDEV_RULES.exists():
        told.append(f"a stick needs a udev rule; as root write to {UDEV_RULES}, then run: udevadm control --reload-rules; udevadm trigger")
        told.append(UDEV_TEXT.rstrip())
    return tuple(told)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 0 only when the environment works."""
    parser = argparse.ArgumentParser(prog="python -m harness.devices.environment", description="create the interpreter that a device needs")
    parser.add_argument("name", help=f"which environment: {', '.join(RECIPES)}")
    parser.add_argument("--python", help="interpreter to build it from, instead of looking for one")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.name not in RECIPES:
            raise UnknownName("environment", chosen.name, RECIPES)
        recipe = RECIPES[chosen.name]
        for line in advice(create(recipe, chosen.python)):
            print(line)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"ready: {recipe.directory}")
    return 0


def _places() -> list[Path]:
    """Where interpreters usually are: the search path, pyenv, uv, conda, local builds."""
    found = [Path(hit) for minor in range(6, 10) if (hit := shutil.which(f"python3.{minor}"))]
    home = Path.home()
    found += sorted(Path("/opt/hostedtoolcache/Python").glob("3.*/*/bin/python"))  # of hosted CI runners
    for pattern in (".pyenv/versions/3.*/bin/python", ".local/share/uv/python/cpython-3.*/bin/python3", "miniconda3/envs/*/bin/python"):
        found += sorted(home.glob(pattern), reverse=True)
    return found + sorted(Path("/opt").glob("python*/bin/python3")) + sorted(Path("/usr/local/bin").glob("python3.[6-9]"))


def _version(path: Path) -> str:
    """``3.8``, or nothing when the interpreter does not start or has no venv."""
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([str(path), "-c", ask], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _has(interpreter: Path, requirements: Sequence[str]) -> bool:
    pinned = {one.replace("==", " ") for one in requirements if "==" in one}
    ask = "import pkg_resources; [print(d.project_name, d.version) for d in pkg_resources.working_set]"
    done = subprocess.run([str(interpreter), "-W", "ignore", "-c", ask], capture_output=True, text=True, timeout=60)
    return pinned <= set(done.stdout.splitlines())


def _run(command: Sequence[str], otherwise: str) -> str:
    """The command's output; DeviceUnavailable with its last words and ``otherwise`` when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise DeviceUnavailable(f"{error}; {otherwise}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise DeviceUnavailable(f"{words[-1] if words else f'exit code {done.returncode}'}; {otherwise}")
    return done.stdout


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    sys.exit(main())
