"""Folders of pictures and masks, as people have them, and what is refused of them in one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import DatasetError
from harness.networks import datasets
from harness.networks.pictures.preparing import Preparation
from harness.networks.tasks import mask_folder

SIDE = 16


def picture(place: Path, number: int, side: int = SIDE) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (side, side), dtype=np.uint8)).save(place)


def mask(place: Path, values: np.ndarray, mode: str | None = None) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    if mode == "P":
        image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    (image.convert(mode) if mode == "RGB" else image).save(place)


def striped(number: int, classes: int = 3) -> np.ndarray:
    return np.repeat((np.arange(SIDE) + number)[None] % classes, SIDE, axis=0)


def lay(folder: Path, places: dict[str, tuple[str, str]], count: int = 6, ending: str = "", mode: str | None = None) -> Path:
    """places: by split the folders of pictures and of masks."""
    for at, (pictures, masks) in enumerate(places.values()):
        for number in range(count):
            picture(folder / pictures / f"{number}.png", 100 * at + number)
            mask(folder / masks / f"{number}{ending}.png", striped(number), mode)
    return folder


SPLIT_FIRST = {one: (f"{one}/images", f"{one}/masks") for one in ("train", "val", "test")}
KIND_FIRST = {one: (f"JPEGImages/{one}", f"SegmentationClass/{one}") for one in ("training", "validation", "test")}


def load(folder: Path):
    return datasets.load(f"segmentation:{folder}", asked=Preparation(height=SIDE, width=SIDE))


@pytest.mark.parametrize(
    ("places", "ending", "mode"),
    [(SPLIT_FIRST, "", None), (KIND_FIRST, "_mask", "P"), ({"all": ("images", "labels")}, "-mask", None)],
    ids=["split-first", "kind-first-palette", "undivided"],
)
def test_layouts_that_people_use_are_read(tmp_path, places, ending, mode):
    found = load(lay(tmp_path, places, 20 if len(places) == 1 else 6, ending, mode))
    assert found.classes == 3
    assert found.task.name == "segmentation"
    assert found.train.labels.shape[1:] == (SIDE, SIDE)
    assert len(found.validation)
    assert len(found.test)
    for part in (found.train, found.validation, found.test):
        assert len(part) == len(part.labels) == len(part.images)


def test_every_picture_keeps_its_own_mask_whatever_the_order_of_the_files(tmp_path):
    lay(tmp_path, {"all": ("images", "masks")}, 20)
    for number in range(20):  # a picture that says which mask is its own
        Image.fromarray(np.full((SIDE, SIDE), 10 * number, np.uint8)).save(tmp_path / "images" / f"{number}.png")
        mask(tmp_path / "masks" / f"{number}.png", np.full((SIDE, SIDE), number % 3))
    found = load(tmp_path)
    for part in (found.train, found.validation, found.test):
        grey = part.images[:, 0, 0, 0] * found.preprocessing.std[0] + found.preprocessing.mean[0]
        assert ((grey * 255 / 10).round().long() % 3).tolist() == part.labels[:, 0, 0].tolist()


def test_masks_are_resized_without_inventing_classes(tmp_path):
    lay(tmp_path, SPLIT_FIRST)
    found = datasets.load(f"segmentation:{tmp_path}", asked=Preparation(height=11, width=13))
    assert found.train.labels.shape[1:] == (11, 13)
    assert set(found.train.labels.unique().tolist()) == {0, 1, 2}
    framed = datasets.load(f"segmentation:{tmp_path}", asked=Preparation(height=20, width=20, resize="margin"))
    assert set(framed.train.labels[:, 0].unique().tolist()) == {255}  # of the margin no class is asked


def test_masks_of_black_and_white_are_one_class_on_a_background(tmp_path):
    lay(tmp_path, SPLIT_FIRST)
    for file in tmp_path.glob("*/masks/*.png"):
        mask(file, 255 * (striped(int(file.stem)) > 1))
    found = load(tmp_path)
    assert found.class_names == ("background", "foreground")
    assert set(found.train.labels.unique().tolist()) == {0, 1}
    assert any("255 is taken for the one class" in note for note in found.notes)


def test_a_class_that_a_split_lacks_is_said(tmp_path):
    lay(tmp_path, SPLIT_FIRST)
    for file in (tmp_path / "test" / "masks").iterdir():
        mask(file, np.minimum(striped(int(file.stem)), 1))
    assert any(note.startswith("test: no pixel of class 2") for note in load(tmp_path).notes)


def broken_size(folder):
    mask(folder / "train/masks/0.png", striped(0)[:8])


def broken_colour(folder):
    mask(folder / "train/masks/0.png", striped(0), "RGB")


def broken_class(folder):
    (folder / "classes.txt").write_text("ground\nroad\n")


def broken_pair(folder):
    (folder / "train/masks/0.png").unlink()


def broken_file(folder):
    (folder / "train/masks/0.png").write_bytes(b"no picture")


def broken_one_class(folder):
    for file in folder.glob("*/masks/*.png"):
        mask(file, np.zeros((SIDE, SIDE)))


def broken_names(folder):
    (folder / "classes.txt").write_text("ground\n")


def broken_half(folder):
    shutil.rmtree(folder / "val/masks")


def broken_ignored(folder):
    for file in folder.glob("val/masks/*.png"):
        mask(file, np.full((SIDE, SIDE), 255))


def broken_lossy(folder):
    (folder / "train/masks/0.png").unlink()
    mask(folder / "train/masks/0.jpg", striped(0))


def broken_twins(folder):
    picture(folder / "train/images/0.jpg", 7)


def broken_train(folder):
    (folder / "train").rename(folder / "other")


def each_mask(folder, change):
    """Every mask rewritten as ``change`` of its number."""
    for file in folder.glob("*/masks/*.png"):
        mask(file, np.asarray(change(int(file.stem))))


def broken_two_kinds(folder):
    """As two tools export one class: as 1, and as 255."""
    each_mask(folder, lambda number: (255 if number else 1) * (striped(number) > 1))


def broken_grey_levels(folder):
    each_mask(folder, lambda number: 100 * striped(number))


def broken_smoothed(folder):
    each_mask(folder, lambda number: np.linspace(0, 255, SIDE * SIDE).reshape(SIDE, SIDE))


def broken_palettes(folder):
    """As ``quantize`` makes them: colours numbered anew for every picture."""
    for number in range(3):
        image = Image.fromarray((striped(number) if number else 2 - striped(number)).astype(np.uint8))
        image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0] if number else [0, 200, 0, 200, 0, 0, 0, 0, 0])
        image.save(folder / f"train/masks/{number}.png")


def broken_training(folder):
    (folder / "classes.txt").write_text("ground\nroad\ntree\n")
    for file in folder.glob("train/masks/*.png"):
        mask(file, 255 * (striped(int(file.stem)) > 1))
    for file in folder.glob("val/masks/*.png"):
        mask(file, np.where(striped(int(file.stem)) > 1, 255, striped(int(file.stem))))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (broken_two_kinds, r"masks of two kinds: .*[12]\.png holds 0 and 255 alone, .*0\.png class numbers.*save the class as its number"),
        (broken_grey_levels, r"hold the numbers 0, 100, 200, which would be 201 classes; number classes from 0 on without gaps"),
        (broken_smoothed, r"hold the numbers 0, 1, 2, 3 \.\.\. 254, which would be 255 classes; .* or name every one in classes\.txt"),
        (broken_palettes, r"\.png has class \d in the colour \(.*\) in which .*\.png has class \d: each mask has a palette of its own"),
        (broken_training, r"the masks of all training pictures hold ground alone; give masks of two classes at least"),
        (broken_size, r"0\.png is 16 x 8, its picture 16 x 16; give masks of their pictures' size"),
        (broken_colour, r"0\.png is a mask in colours \(RGB\); save class numbers in one channel"),
        (broken_class, r"holds pixels of class 2, but classes\.txt names 2; mend the mask, or name the class"),
        (broken_pair, r"0\.png has no mask in .*masks; add 0\.png there"),
        (broken_file, r"not a readable image \(UnidentifiedImageError\); replace or remove it"),
        (broken_one_class, r"hold one class at most; give masks of two classes at least"),
        (broken_names, r"classes\.txt names 1 classes; name 2 to 254"),
        (broken_half, r"val holds no folder of pictures with one of masks beside it; add what is missing, or move it away"),
        (broken_ignored, r"the masks of all validation pictures hold 255 alone, where no class is asked"),
        (broken_lossy, r"0\.jpg is a JPEG, which does not keep class numbers; save masks as PNG"),
        (broken_twins, r"0\.jpg and 0\.png beside it are called alike: whose the mask is cannot be told; rename one"),
        (broken_train, r"there are no training pictures; lay them as train/images and train/masks"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path, harm, told):
    lay(tmp_path, SPLIT_FIRST, 3)
    harm(tmp_path)
    with pytest.raises(DatasetError, match=told) as refused:
        load(tmp_path)
    assert "\n" not in str(refused.value)


def test_edges_of_255_beside_classes_ask_for_none_also_where_a_picture_holds_nothing_else(tmp_path):
    """Pascal VOC's: 255 around objects; a picture whose only object is an edge is no mask of another kind."""
    lay(tmp_path, SPLIT_FIRST)
    each_mask(tmp_path, lambda number: np.where(striped(number) == 2, 255, striped(number) if number else 0))
    found = load(tmp_path)
    assert found.classes == 2
    assert set(found.train.labels.unique().tolist()) == {0, 1, 255}


def test_numbers_with_gaps_are_classes_where_they_are_named(tmp_path):
    lay(tmp_path, SPLIT_FIRST)
    each_mask(tmp_path, lambda number: 7 * striped(number))
    (tmp_path / "classes.txt").write_text("\n".join(f"kind {number}" for number in range(21)))
    assert load(tmp_path).classes == 21


def test_masks_without_a_picture_are_said_and_hidden_files_left_out(tmp_path):
    lay(tmp_path, SPLIT_FIRST)
    mask(tmp_path / "train/masks/beside.png", striped(1))
    for place in ("images", "masks"):
        (tmp_path / "train" / place / "._0.png").write_bytes(b"what macOS keeps of a copied file")
    assert "not read: 1 masks of no picture (beside.png)" in load(tmp_path).notes


def test_masks_that_ask_for_nothing_are_no_class_on_a_background(tmp_path):
    lay(tmp_path, SPLIT_FIRST)
    for file in tmp_path.glob("*/masks/*.png"):
        mask(file, np.full((SIDE, SIDE), 255))
    with pytest.raises(DatasetError, match="hold one class at most"):
        load(tmp_path)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures_are_told_without_a_class_that_is_none(tmp_path, count):
    lay(tmp_path, {"all": ("images", "masks")}, count)
    try:
        told = "\n".join(load(tmp_path).notes)
    except DatasetError as refused:
        told = str(refused)
    assert "class of all" not in told
    assert "of of all" not in told
    assert ("a single picture, which is" if count == 3 else "the folder holds ") in told


def test_folders_that_are_none_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="there is no folder"):
        mask_folder.listed(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="holds no folders of pictures and masks; lay them as"):
        mask_folder.listed(tmp_path)
