# SPDX-License-Identifier: Apache-2.0
"""Cards: what a data set is, where to get it and under what terms, and how its files lie in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pose_ros.errors import DatasetError


@dataclass(frozen=True)
class Layout:
    """One way in which files of a data set lie in a folder. ``{split}`` in paths stands for the split."""

    #: Module of this package that reads it.
    reader: str
    #: Pattern of the label files below the folder, or one for each split.
    labels: str | Mapping[str, str]
    splits: tuple[str, ...]
    #: Folder of the pictures below the folder, or one for each split.
    images: str | Mapping[str, str] = "."
    #: Who made these files: ``authors``, or whose conversion it is, such as ``mmpose``.
    by: str = "authors"
    #: What this set needs its reader to know.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: What to do with files that cannot be read as they come.
    note: str = ""

    def at(self, what: str | Mapping[str, str], split: str) -> str:
        """Return ``labels`` or ``images`` of a split."""
        return (what if isinstance(what, str) else what[split]).replace("{split}", split)

    def text(self) -> str:
        """Return one line for people."""
        labels, images = (
            what if isinstance(what, str) else " or ".join(dict.fromkeys(what.values()))
            for what in (self.labels, self.images)
        )
        where = "the same folder" if images == "." else images
        return (f"{labels}, pictures in {where} (files of {self.by}; split: {', '.join(self.splits)})"
                + f" [{self.note}]" * bool(self.note))


@dataclass(frozen=True)
class DatasetCard:
    """What a data set is, where to get it and under what terms."""

    name: str
    title: str
    #: Name of the skeleton, or empty where each project brings its own.
    skeleton: str
    url: str
    #: In the words of its authors, or ``not stated``.
    licence: str
    #: Whether they exclude commercial use.
    research_only: bool
    #: What it is judged by, the first one first.
    metrics: tuple[str, ...]
    citation: str
    layouts: tuple[Layout, ...]
    #: ``samples``: a layout was read with real labels; ``synthetic``: made-up files of the documented layouts only.
    seen: str
    #: Name -> two groups of indices of keypoints: the distance between their middles.
    normalisers: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    note: str = ""

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits, of all layouts."""
        return tuple(dict.fromkeys(split for layout in self.layouts for split in layout.splits))

    def expected(self) -> str:
        """Return what lies where, and where to get it, for messages."""
        terms = " (no commercial use)" * self.research_only
        return (f"expected {'; or '.join(layout.text() for layout in self.layouts)}. Get {self.title} from {self.url}; "
                f"licence: {self.licence}{terms}")


@dataclass(frozen=True)
class Found:
    """Files of one split of one layout in a folder: what a reader is given."""

    card: DatasetCard
    layout: Layout
    folder: Path
    split: str
    #: Label files, sorted; at least one.
    files: tuple[Path, ...]
    #: Folder of the pictures.
    images: Path

    def only(self, *names: str) -> dict[str, Any]:
        """Return the options of the layout; the reader knows them by these names."""
        if unknown := self.layout.options.keys() - set(names):
            raise DatasetError(self.card.name, f"reader '{self.layout.reader}' knows {names}, got {sorted(unknown)}")
        return dict(self.layout.options)
