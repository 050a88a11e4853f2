"""Which files of a folder are pictures of which split and class; whatever else lies there is told, or refused.

Folders that carry the name of a split, in any case, and hold folders of pictures are splits. What cannot be meant is refused, naming the
files and what to do with them; what is left out becomes a note, so that no picture is lost without a word.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import features

from harness.errors import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
SOME_PILLOWS_SUFFIXES = {".avif": "avif", ".jp2": "jpg_2000", ".j2k": "jpg_2000", ".jpx": "jpg_2000"}  # with the feature that they take
OTHER_SUFFIXES = (".heic", ".heif", ".jxl", ".svg", ".psd", ".raw", ".dng", ".cr2", ".nef", ".arw", ".exr")  # pictures, but not to Pillow
SPLIT_NAMES = (("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing"))  # in lower case
MIN_PER_CLASS = 3  # fewer cannot be split three ways
_MOST_NAMED = 3  # files in one sentence


@dataclass(frozen=True)
class File:
    """One picture with the numbers of its split (0 where nothing is divided) and of its class."""

    split: int
    label: int
    path: Path


@dataclass(frozen=True)
class Layout:
    """The classes in order of name, every picture, and one sentence on each kind of thing that is not read."""

    classes: tuple[str, ...]
    files: tuple[File, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Shelf:
    """What lies in one folder, in order of name, hidden things left out.

    foreign: pictures of formats that are not read. irregular: pipes and devices that are called as pictures are.
    """

    folders: tuple[Path, ...]
    pictures: tuple[Path, ...]
    foreign: tuple[Path, ...]
    irregular: tuple[Path, ...]


def read(path: Path) -> Layout:
    """What lies below ``path``. Raises DatasetError, and OSError for a folder that cannot be listed."""
    if not path.is_dir():
        raise DatasetError(f"there is no folder {path}; give a folder with one folder of images per class")
    top = _look(path)
    splits = _splits(path, top.folders)
    if splits and (splits[0][0] != 0 or len(splits) < 2):
        held = " and ".join(folder.name for _, folder in splits)
        raise DatasetError(f"{path} holds only {held}; give train and test, train and val, all three, or one folder per class")
    if not splits:
        _refuse_wrapper(path, top.folders)
    sources, at_least = (splits, 1) if splits else ([(0, path)], MIN_PER_CLASS)
    classes = _classes(sources[0][1])
    for _, folder in sources[1:]:
        if _classes(folder) != classes:
            raise DatasetError(f"{folder} and {sources[0][1]} hold different classes; give both the same class folders")
    files, passed = [], [top, *(_look(folder) for _, folder in splits)]
    links: list[Path] = []
    for split, folder in sources:
        for label, name in enumerate(classes):
            shelves = list(_below(folder / name, links))
            files += [File(split, label, picture) for picture in _enough(folder / name, shelves, at_least)]
            passed += shelves
    return Layout(classes, tuple(files), tuple(_notes(top, [folder for _, folder in splits], passed, links)))


def told_names(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    given = sorted(names)
    return ", ".join(given[:_MOST_NAMED]) + (f" and {len(given) - _MOST_NAMED} more" if len(given) > _MOST_NAMED else "")


def count(number: int, noun: str) -> str:
    """The number with its noun, in the plural where there is not one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _look(folder: Path) -> _Shelf:
    """DatasetError for a picture's link that leads nowhere."""
    folders, pictures, foreign, irregular = [], [], [], []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if entry.name.startswith("."):
                continue
            suffix, place = os.path.splitext(entry.name)[1].lower(), Path(entry.path)
            if entry.is_symlink() and not os.path.exists(entry.path):
                if _is_read(suffix):
                    raise DatasetError(f"{place} is a link that leads nowhere; mend it, or remove it")
            elif entry.is_dir():
                folders.append(place)
            elif not _is_read(suffix):
                foreign += [place] if suffix in OTHER_SUFFIXES or suffix in SOME_PILLOWS_SUFFIXES else []
            elif entry.is_file():
                pictures.append(place)
            else:
                irregular.append(place)  # never opened: a pipe or a device may have no end
    return _Shelf(tuple(folders), tuple(pictures), tuple(foreign), tuple(irregular))


@functools.cache
def _is_read(suffix: str) -> bool:
    feature = SOME_PILLOWS_SUFFIXES.get(suffix)
    return suffix in SUFFIXES or (feature is not None and feature in features.get_supported())


def _below(folder: Path, links: list[Path]) -> Iterator[_Shelf]:
    """The shelf of a folder and of every one below it; linked folders, which may lead in circles, are put into ``links`` instead."""
    shelf = _look(folder)
    yield shelf
    for deeper in shelf.folders:
        if deeper.is_symlink():
            links.append(deeper)
        else:
            yield from _below(deeper, links)


def _holds_pictures(folder: Path) -> bool:
    return any(shelf.pictures for shelf in _below(folder, []))


def _split_of(folder: Path) -> int | None:
    return next((split for split, names in enumerate(SPLIT_NAMES) if folder.name.lower() in names), None)


def _splits(path: Path, folders: Sequence[Path]) -> list[tuple[int, Path]]:
    """Split folders in the order of splits; a single folder that holds pictures itself is a class that happens to be called so."""
    named = [(split, folder, _look(folder)) for folder in folders if (split := _split_of(folder)) is not None]
    divided = any(any(map(_holds_pictures, shelf.folders)) for _, _, shelf in named)
    strays = [picture.relative_to(path).as_posix() for _, _, shelf in named for picture in shelf.pictures]
    if strays and (divided or len({split for split, _, shelf in named if shelf.pictures}) > 1):
        told = f"{count(len(strays), 'picture')} outside class folders ({told_names(strays)})"
        raise DatasetError(f"{path} holds {told}; move what belongs to a class into its folder, and remove the others")
    found: dict[int, Path] = {}
    for split, folder, shelf in named:
        if shelf.pictures:
            continue
        if split in found:
            raise DatasetError(f"{path} holds both {found[split].name} and {folder.name}; keep one of them")
        found[split] = folder
    return sorted(found.items())


def _refuse_wrapper(path: Path, folders: Sequence[Path]) -> None:
    """DatasetError where splits lie one folder deeper, and would be mixed."""
    for folder in folders:
        inner = [deeper for deeper in _look(folder).folders if _split_of(deeper) is not None and _holds_pictures(deeper)]
        if len({_split_of(deeper) for deeper in inner}) < 2:
            continue
        told = f"{folder} holds {' and '.join(deeper.name for deeper in inner)}"
        if any(any(map(_holds_pictures, _look(deeper).folders)) for deeper in inner):
            raise DatasetError(f"{told}, one folder deeper than {path}; give {folder}")
        raise DatasetError(f"{told} inside of a class; put the split outside, as {path / inner[0].name / folder.name}")


def _classes(path: Path) -> tuple[str, ...]:
    folders = _look(path).folders
    if len(folders) < 2:
        deeper = [folder for folder in folders if sum(map(_holds_pictures, _look(folder).folders)) > 1]
        hint = f"give {deeper[0]}, or one" if deeper else "give one"
        raise DatasetError(f"{path} holds {count(len(folders), 'class folder')}; {hint} folder of images per class, at least two")
    return tuple(folder.name for folder in folders)


def _enough(folder: Path, shelves: Sequence[_Shelf], at_least: int) -> list[Path]:
    """The pictures of a class."""
    pictures = [picture for shelf in shelves for picture in shelf.pictures]
    if not pictures:
        foreign = sorted({picture.suffix.lower() for shelf in shelves for picture in shelf.foreign})
        told = f", but {', '.join(foreign)}" if foreign else ""
        raise DatasetError(f"class folder {folder} holds no images ({', '.join(SUFFIXES)}){told}; add some or remove the folder")
    if len(pictures) < at_least:
        raise DatasetError(f"class folder {folder} holds {len(pictures)} images; give at least {at_least} to split them three ways")
    return pictures


def _notes(top: _Shelf, splits: Sequence[Path], passed: Sequence[_Shelf], links: Sequence[Path]) -> Iterator[str]:
    beside = [folder.name for folder in top.folders if splits and folder not in splits]
    if beside:
        noun = "folder" if len(beside) == 1 else "folders"
        yield f"not read: the {noun} {told_names(beside)} beside {' and '.join(folder.name for folder in splits)}"
    if top.pictures:
        names = told_names(picture.name for picture in top.pictures)
        yield f"not read: {count(len(top.pictures), 'picture')} beside the folders ({names})"
    foreign = [picture.suffix.lower() for shelf in passed for picture in shelf.foreign]
    if foreign:
        formats = ", ".join(sorted(set(foreign)))
        yield f"not read: {count(len(foreign), 'file')} of a format that Pillow does not read here ({formats}); convert them to PNG"
    irregular = [file.name for shelf in passed for file in shelf.irregular]
    if irregular:
        yield f"not read: {len(irregular)} that are no regular files ({told_names(irregular)})"
    if links:
        yield f"not read: {count(len(links), 'linked folder')} below a class ({told_names(link.name for link in links)})"
