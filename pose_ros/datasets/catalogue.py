# SPDX-License-Identifier: Apache-2.0
"""Find data sets by name: one row of ``cards.yaml`` each; the layouts of a row name the modules that read them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pose_ros.core import documents
from pose_ros.datasets.base import UNREADABLE, Dataset, DatasetCard, Found, Layout, opened
from pose_ros.errors import ConfigError, DatasetError, DatasetMissingError, PoseRosError, UnknownNameError


@cache
def _rows() -> dict[str, Mapping[str, Any]]:
    rows: dict[str, Mapping[str, Any]] = documents.load((Path(__file__).parent / "cards.yaml").read_text("utf-8"))
    return rows


def names() -> list[str]:
    """Return the names of all data sets, sorted."""
    return sorted(_rows())


def get(name: str) -> DatasetCard:
    """Return the card of a data set.

    Raises:
        UnknownNameError: There is none of that name.
        ConfigError: Its row is wrong.
    """
    if name not in _rows():
        raise UnknownNameError("data set", name, names(), "`pose-ros datasets list` shows all")
    row = dict(_rows()[name])
    try:
        layouts = tuple(Layout(**{**layout, "splits": tuple(layout["splits"])}) for layout in row.pop("layouts"))
        return DatasetCard(name=name, layouts=layouts, **{**row, "metrics": tuple(row["metrics"])})
    except (KeyError, TypeError) as error:
        raise ConfigError(f"data set '{name}'", f"its row in cards.yaml does not fit: {error}") from error


def open(name: str, folder: Path | str, split: str = "") -> Dataset:
    """Open one split of a data set.

    Args:
        name: Of its card.
        folder: Where its files lie, in one of the layouts of the card.
        split: One of those of the card, the first one that is there when left out; or a label file (its path below
            ``folder``) in the format of a layout: its pictures lie where the layout says, else in ``folder`` itself.

    Raises:
        UnknownNameError: No data set or split of that name.
        DatasetMissingError: The files are not there; the message says what is expected and where to get it.
        DatasetError: They are there and cannot be read.
    """
    card, folder = get(name), Path(folder)
    if not folder.is_dir():
        raise DatasetMissingError(name, f"expected the folder {folder}, which is not there; {card.expected()}")
    ways = _file(card, folder, split) if split and split not in card.splits else _splits(card, folder, split)
    if not ways and split and split not in card.splits:
        raise UnknownNameError(f"split of {name}", split, card.splits, f"or name a label file below {folder}")
    if not ways:
        raise DatasetMissingError(name, f"no labels{f' of {split}' if split else ''} in {folder}; {card.expected()}")
    problems = []
    for found in ways:
        try:
            dataset = opened(found)
            if len(ways) > 1 and len(dataset):
                dataset[0]  # a file of another format may only show here
            return dataset
        except ModuleNotFoundError:
            raise
        except PoseRosError as error:
            if len(ways) == 1:
                raise
            problems.append(f"{found.files[0]}: {error}")
        except UNREADABLE as error:
            problems.append(f"{found.files[0]} is not in the format '{found.layout.reader}': "
                            f"{type(error).__name__}: {error}")
    raise DatasetError(name, "; ".join(problems))


def _splits(card: DatasetCard, folder: Path, wanted: str) -> list[Found]:
    """Return the first of the layouts whose labels are there; for the first split that is there if none is wanted."""
    for split in [wanted] if wanted else card.splits:
        for layout in card.layouts:
            if split in layout.splits:
                files = sorted(folder.glob(layout.at(layout.labels, split)))
                if files:
                    images = folder / layout.at(layout.images, split)
                    return [Found(card, layout, folder, split, tuple(files), images)]
    return []


def _file(card: DatasetCard, folder: Path, name: str) -> list[Found]:
    """Return all ways to read one label file."""
    path = folder / name
    if not path.is_file():
        return []
    found = []
    for layout in card.layouts:
        if Path(layout.at(layout.labels, layout.splits[0])).suffix == path.suffix:
            images = folder / layout.at(layout.images, layout.splits[0])
            found.append(Found(card, layout, folder, name, (path,), images if images.is_dir() else folder))
    if not found:
        raise DatasetError(card.name, f"no layout reads {path.suffix or 'such'} files; {card.expected()}")
    return found
