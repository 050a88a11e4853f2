"""A pruned network on disk: ``config.json`` and ``weights.safetensors``, enough to rebuild it.

config.json is a pruning configuration with three more keys: input_shape, classes and espalier (the schema number), and a fourth where
it is known how pictures become its input: preprocessing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from torch import nn

from harness.errors import PruningError, UsageError
from harness.files import json_text, reading
from harness.networks import groups, zoo
from harness.networks.own import source
from harness.pruning import surgery
from harness.records.preprocessing import Preprocessing
from harness.records.pruning_config import PruningConfig
from harness.records.stored_files import replace

CONFIG_NAME, WEIGHTS_NAME = "config.json", "weights.safetensors"
SCHEMA = 1


@dataclass(frozen=True)
class Description:
    """What config.json says: input_shape is channels x height x width; preprocessing is None where the network was saved without it."""

    config: PruningConfig
    input_shape: tuple[int, int, int]
    classes: int
    preprocessing: Preprocessing | None = None


def save(
    directory: Path,
    config: PruningConfig,
    model: nn.Module,
    network: str,
    input_shape: tuple[int, int, int],
    classes: int,
    preprocessing: Preprocessing | None = None,
) -> tuple[Path, Path]:
    """Write ``model``, pruned from ``network`` by ``config``, into ``directory``; returns the config's and the weights' paths.

    Each file is replaced whole or not at all, the configuration last. Equal networks give equal bytes, by which they are recognised:
    with more than one key, the order in a safetensors file's metadata would be left to chance.
    """
    if config.network != network:
        raise PruningError(f"the configuration is for {config.network}, the network is {network}; save the network it belongs to")
    document = json_text.parse(config.canonical) | {"input_shape": list(input_shape), "classes": classes, "espalier": SCHEMA}
    document |= {} if preprocessing is None else {"preprocessing": json_text.parse(preprocessing.canonical)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    directory.mkdir(parents=True, exist_ok=True)
    weights_path, config_path = directory / WEIGHTS_NAME, directory / CONFIG_NAME
    replace(weights_path, safetensors.torch.save(tensors, {"config": config.digest}))
    replace(config_path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())
    return config_path, weights_path


def load(path: Path, weights: Path | None = None) -> nn.Module:
    """The pruned network, in evaluation mode, from a directory that ``save`` wrote, or from a config file and its weights.

    weights: the weights file; default: ``weights.safetensors`` beside the configuration. Raises UsageError, UnknownName
    or PruningError when a file is missing or damaged, or when the two do not belong together.
    """
    config_path = path / CONFIG_NAME if path.is_dir() else path
    description = describe(config_path)
    config = description.config
    with source.copies_in(config_path.parent, config.network):
        dense = zoo.build(config.network, description.input_shape, description.classes)
    architecture = groups.architecture_of(dense, config.network, description.input_shape, description.classes)
    model = surgery.shrink(dense, architecture, config)
    zoo.load_weights(model, weights if weights is not None else config_path.with_name(WEIGHTS_NAME))
    return model.eval()


def describe(config_path: Path) -> Description:
    """What the configuration file says; UsageError when it is missing, damaged, or newer than this program."""
    try:
        text = reading.text(config_path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{config_path} cannot be read ({error}); give the folder or config.json of a saved network") from error
    config = PruningConfig.from_json(text)
    document = json_text.parse(text)
    shape, classes = document.get("input_shape"), document.get("classes")
    sizes = [*shape, classes] if isinstance(shape, list) and len(shape) == 3 else [None]
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        raise UsageError(f'{config_path} must say "input_shape": [channels, height, width] and "classes"; save the network again')
    told = document.get("preprocessing")
    preprocessing = None if told is None else Preprocessing.of_canonical(json.dumps(told))
    return Description(config, (shape[0], shape[1], shape[2]), classes, preprocessing)
