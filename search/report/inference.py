"""How the chosen network is used: how a picture becomes its input, and a script beside it that does so."""

from __future__ import annotations

from pathlib import Path

from harness.networks.pictures.preparing import DATA, IMAGENET, Preparation
from harness.networks.tasks.classification import CLASSIFICATION
from harness.pruning import saved
from harness.records.preprocessing import Preprocessing
from search.report.figures.cells import Cell, Column, Table

SCRIPT = "infer.py"
_SOURCE = Path(__file__).parent / "templates" / "infer.py.txt"
_MOST_NAMED = 20  # classes in the report; config.json has them all


def preprocessing_of(folder: Path) -> Preprocessing | None:
    """What ``config.json`` in a campaign's folder says; None where there is none, or one from before it was told."""
    path = folder / saved.CONFIG_NAME
    return saved.describe(path).preprocessing if path.is_file() else None


def is_classified(folder: Path) -> bool:
    """Whether a picture has one class, which is what the example script answers, and it is known how pictures are prepared."""
    path = folder / saved.CONFIG_NAME
    return path.is_file() and (told := saved.describe(path)).task == CLASSIFICATION.name and told.preprocessing is not None


def script() -> str:
    """The example: it needs numpy, Pillow and a runtime, and nothing of ours."""
    return _SOURCE.read_text(encoding="utf-8")


def sentences(folder: Path) -> tuple[str, ...]:
    """What to do with the files of a campaign's folder; () where they do not say how pictures are prepared or what is answered."""
    if is_classified(folder):
        return (
            f"{SCRIPT}, beside model.onnx and config.json, answers which class a picture is of: python {SCRIPT} PICTURE. It prepares "
            "pictures as this campaign did; a network that is given others answers worse than this report says.",
        )
    path = folder / saved.CONFIG_NAME
    if not path.is_file() or (told := saved.describe(path)).task == CLASSIFICATION.name:
        return ()
    return (f"What model.onnx answers to pictures that are prepared as this campaign's were: {told.outputs}.",)


def table(told: Preprocessing) -> Table:
    """Every step from a picture to the network's input."""
    channels, height, width = told.input_shape
    names = ", ".join(told.classes[:_MOST_NAMED]) + (
        f" and {len(told.classes) - _MOST_NAMED} more" if len(told.classes) > _MOST_NAMED else ""
    )
    source = {DATA: "the training pictures' own", IMAGENET: "ImageNet's"}.get(told.standard, "as asked for")
    pairs = (
        ("channels", {1: "1, grey", 3: "3, RGB", 4: "4, RGB and one more"}.get(channels, str(channels))),
        ("size", Preparation(channels, height, width, told.resize).sentence),
        ("mean", f"{_numbers(told.mean)} of pixels between 0 and 1, taken from every channel ({source})"),
        ("deviation", f"{_numbers(told.std)}, which it is divided by then"),
        ("classes, in order of the logits", names),
    )
    rows = tuple((Cell(name), Cell(text)) for name, text in pairs)
    columns = (Column("step", numeric=False), Column("what is done", numeric=False))
    return Table("preprocessing", columns, rows, title="From a picture to the network's input")


def _numbers(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers)
