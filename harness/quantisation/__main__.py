"""``python -m harness.quantisation NETWORK.onnx``: the network in INT8 beside it, as any runtime takes it that reads QDQ."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.files import json_text
from harness.files.numbers import option
from harness.networks import datasets, export
from harness.networks.export import Artefact
from harness.networks.pictures.preparing import Preparation
from harness.quantisation import calibration
from harness.quantisation.quantising import Options, layers_of, quantise
from harness.records import stored_files
from harness.records.preprocessing import Preprocessing
from harness.records.quantisation import quantised_sentence


def main(words: Sequence[str] | None = None) -> int:
    """Quantise a file and say what was quantised. Returns the exit code: 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m harness.quantisation", description=__doc__)
    parser.add_argument("network", type=Path, metavar="NETWORK.onnx", help="exported network in float")
    parser.add_argument("--dataset", required=True, help="whose training images the scales are read off")
    parser.add_argument("--data", type=Path, help="where the dataset lies, if it is not installed")
    parser.add_argument("--out", type=Path, metavar="FILE", help="(default: NETWORK-int8.onnx)")
    parser.add_argument(
        "--calibration", type=option("calibration"), default=calibration.IMAGES, metavar="N", help="images (default: %(default)s)"
    )
    parser.add_argument("--asymmetric", action="store_true", help="activations need not be around zero (not for TensorRT)")
    parser.add_argument("--signed", action="store_true", help="signed activations only, as TensorRT takes them")
    parser.add_argument("--per-tensor", action="store_true", help="one scale for all filters of a layer")
    parser.add_argument("--full-bias-correction", action="store_true", help="layer after layer, which takes minutes")
    parser.add_argument("--in-float", action="append", default=[], metavar="LAYERS", help="stay as they are, by comma; may be repeated")
    asked = parser.parse_args(words)
    try:
        _quantise(asked)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _quantise(asked: argparse.Namespace) -> None:
    out = asked.out or asked.network.with_name(f"{asked.network.stem}-int8.onnx")
    if out.exists() and out.samefile(asked.network):
        raise UsageError(f"--out={out} is the network itself; give another file")
    if out.is_dir() or not os.access(out.parent, os.W_OK):  # before minutes of bias correction
        raise UsageError(f"--out={out}: nothing can be written there; give a file in a folder that is there")
    if asked.asymmetric and asked.signed:
        raise UsageError("--asymmetric and --signed: TensorRT, for which activations are signed, takes symmetric ones only; leave one out")
    artefact = export.read(asked.network, asked.network.stem, keep_open=True)
    export.check_picture(artefact, "INT8")
    dataset = datasets.load(asked.dataset, asked.data, asked=_preparation(asked.network, artefact))
    options = Options(
        per_channel=not asked.per_tensor,
        symmetric=not asked.asymmetric,
        fast_bias_correction=not asked.full_bias_correction,
        in_float=layers_of(asked.in_float),
        signed=asked.signed,
    )
    found = quantise(artefact, calibration.of(dataset, asked.calibration), options)
    try:
        stored_files.replace(out, found.artefact.onnx)
    except OSError as error:
        raise UsageError(f"--out={out} cannot be written ({error.strerror}); give another file") from error
    print(f"{quantised_sentence(found.layers)}; calibrated with {found.calibration.sentence()}; took {found.seconds:.1f} s")
    print(out)


def _preparation(network: Path, artefact: Artefact) -> Preparation:
    """What pictures are brought to for the file: as ``config.json`` beside it says; else its size alone."""
    _, channels, height, width = artefact.input_shape
    try:
        told = json_text.read(network.with_name("config.json"))["preprocessing"]
        way = Preprocessing.of_canonical(json.dumps(told))
    except (OSError, ValueError, KeyError, TypeError, UsageError):
        return Preparation(channels, height, width)
    if way.input_shape != (channels, height, width):
        return Preparation(channels, height, width)
    return Preparation(channels, height, width, way.resize, way.mean, way.std, way.standard)


if __name__ == "__main__":
    sys.exit(main())
