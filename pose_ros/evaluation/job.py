# SPDX-License-Identifier: Apache-2.0
"""What is to be done: one model on one data set, as plain data that travels to other processes and machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pose_ros
from pose_ros import datasets, wiring
from pose_ros.core.convert import converts
from pose_ros.core.skeleton import Skeleton
from pose_ros.datasets import Dataset
from pose_ros.errors import ConfigError
from pose_ros.evaluation import judges
from pose_ros.evaluation import protocol as protocols
from pose_ros.evaluation.protocol import Protocol
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue

BOXES = ("truth", "keypoints", "detector")
#: Images in one file of answers: what a killed run loses at most, for each process.
SHARD = 32
#: Groups of images; those of a group are asked together, in that order.
Shard = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Job:
    """One model on one data set.

    Raises:
        ConfigError: The pieces do not fit together.
    """

    data: str
    folder: Path
    #: ``[detector+]estimator``, or a detector or a lifter alone.
    model: str
    #: Split or label file; the first one that is there when left out.
    split: str = ""
    #: ``truth``: the boxes of the labels; ``keypoints``: those that just contain the labelled keypoints; ``detector``:
    #: those that the model's detector finds, or a one-stage estimator itself. Left out: what the protocol says.
    boxes: str = ""
    #: JSON of a configuration as :func:`pose_ros.wiring.build` takes it, on top of what the protocol says.
    settings: str = "{}"
    #: Only the first so many images; 0: all.
    limit: int = 0
    #: Kind of protocol, where the set can be judged in several ways: what its first metric means when left out.
    judged_by: str = ""
    #: Only what these cameras saw, by the names that the set gives them; all when left out.
    views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what can be checked without reading anything."""
        if self.boxes not in ("", *BOXES):
            raise ConfigError("--boxes", f"expected one of {', '.join(BOXES)}, got '{self.boxes}'")
        if self.limit < 0:
            raise ConfigError("--limit", f"expected a number from 1 on, or 0 for all images, got {self.limit}")

    @property
    def name(self) -> str:
        """Of the job, for files and tables."""
        return f"{self.data} {self.split} {self.model}".replace("  ", " ")

    def dataset(self) -> Dataset:
        """Return the labels; kept for the next call in this process."""
        return _dataset(self.data, self.folder, self.split, self.views)

    def indices(self) -> range:
        """Return the images that are looked at."""
        return range(min(self.limit or len(self.dataset()), len(self.dataset())))

    def shards(self) -> list[Shard]:
        """Return all images in parts that one worker answers at a time, :data:`SHARD` images or one group at least."""
        judge, truth = judges.get(self.protocol().kind), self.dataset()
        groups: dict[Hashable, list[tuple[int, int]]] = {}
        if type(judge).together is judges.Judge.together:  # no label is read where each image is a group
            groups = {i: [(0, i)] for i in self.indices()}
        else:
            for i in self.indices():
                key = judge.together(sample := truth[i])
                groups.setdefault(i if key is None else key, []).append((sample.moment, i))
        shards: list[list[tuple[int, ...]]] = []
        for group in groups.values():
            if not shards or sum(map(len, shards[-1])) >= SHARD:
                shards.append([])
            shards[-1].append(tuple(i for _, i in sorted(group)))
        return [tuple(shard) for shard in shards]

    def cards(self, store: Store | None = None) -> tuple[ModelCard | None, ModelCard]:
        """Return the cards of the detector, if there is one, and of the model that is judged."""
        store, name = store or Store(), self.model.strip()
        if "+" not in name and (card := store.card(name)).kind in ("detector", "lifter"):
            return None, card
        return wiring.parse_model(name, store)

    def protocol(self, store: Store | None = None) -> Protocol:
        """Return how the model is judged."""
        return protocols.of(self.dataset(), self.cards(store)[1], self.judged_by)

    def skeleton(self, store: Store | None = None) -> Skeleton:
        """Return what the answers are in; the skeleton of the labels where a detector says boxes."""
        card = self.cards(store)[1]
        return self.dataset().skeleton if card.kind == "detector" else catalogue.get(card.skeleton)

    def where(self, store: Store | None = None) -> str:
        """Return who says where subjects are, and to a lifter where their keypoints are.

        Raises:
            ConfigError: That is not known, or the model does not ask.
        """
        detector, card = self.cards(store)
        judge = judges.get(self.protocol(store).kind)
        usual = judge.boxes
        if self.boxes not in ("", "detector") and not judge.tells:
            raise ConfigError("--boxes", "tracks are of subjects that the model finds itself; leave --boxes away")
        if card.kind != "estimator":
            if self.boxes not in ("", usual):
                raise ConfigError("--boxes", f"'{card.name}' is a {card.kind} and is not told where subjects are; "
                                             "leave --boxes away")
            return usual
        asks = wiring.looks_where_told(card)
        named = "+" in self.model or not asks
        boxes = self.boxes or ("detector" if named else usual)
        if boxes != "detector" and not asks:
            raise ConfigError("--boxes", f"'{card.name}' looks at whole images and is not told where subjects are; "
                                         "leave --boxes away")
        if boxes != "detector" and "+" in self.model:
            raise ConfigError("--boxes", f"'{self.model}' names a detector, which would not run with boxes of labels "
                                         f"(--boxes {boxes}); take --boxes detector, or --model {card.name}")
        if boxes == "detector" and asks and detector is None:
            raise ConfigError("--model", f"'{card.name}' needs a detector: 'DETECTOR+{card.name}', or --boxes truth")
        return boxes

    def check(self) -> None:
        """Check that data and model fit, before hours of work.

        Raises:
            PoseRosError: They do not, or something is missing.
        """
        store, truth = Store(), self.dataset()
        card, protocol = self.cards(store)[1], self.protocol(store)
        first = next((sample for i in self.indices() if len(sample := truth[i])), None)
        if first is not None:
            judges.get(protocol.kind).check(protocol, truth.name, first)
        own = self.skeleton(store)
        if not converts(own, protocols.labelled(truth, own)):
            others = catalogue.targets(own)
            fitting = [name for name in datasets.names() if datasets.get(name).skeleton in {own.name, *others}]
            raise ConfigError("--model", f"'{card.name}' says keypoints of '{own.name}', of which none are known in "
                                         f"'{truth.skeleton.name}' of {truth.name}. '{own.name}' converts to "
                                         f"{', '.join(others) or 'nothing else'}; data sets it can be judged by: "
                                         f"{', '.join(fitting) or 'none'}")
        boxes, config = self.where(store), self.config(store)
        if boxes == "detector" and card.kind == "estimator":
            wiring.models(config, store)
        if first is None:
            raise ConfigError("--data", f"{truth.name} in {truth.folder} has no labels in {truth.split}, or not in the "
                                        f"first {len(self.indices())} images")

    def config(self, store: Store) -> dict[str, Any]:
        """Return the configuration of the model: what the protocol says, and the settings on top of it."""
        detector, card = self.cards(store)
        # One thread, so that the number of processes changes nothing, not even how sums are rounded.
        config: dict[str, Any] = {"model": self.model, "threads": 1, "exact": True}
        options = judges.get(self.protocol(store).kind).options(detector, card)
        if card.kind == "estimator" and self.where(store) != "detector":  # it runs alone
            options = {"estimator": options.get("estimator", {})}
        config |= options
        for key, value in json.loads(self.settings).items():
            if isinstance(value, Mapping) and isinstance(config.get(key), Mapping):
                value = {**config[key], **value}
            config[key] = value
        return config

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that answers depend on, to refuse those of something else."""
        store, truth = Store(), self.dataset()
        detector, card = self.cards(store)
        boxes = self.where(store)
        used = [card, *map(store.card, card.needs.values()), *([detector] if boxes == "detector" and detector else [])]
        return {
            "package": pose_ros.__version__, "data": truth.name, "split": truth.split,
            "labels": _hash(truth.labels), "images": len(self.indices()), "shard": SHARD, "model": self.model,
            "files": {one.name: _hash([store.fetch(one)]) for one in used}, "boxes": boxes,
            "protocol": self.protocol(store).kind, "views": list(self.views), "settings": self.config(store),
        }  # fmt: skip


def _hash(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of files, one after the other."""
    found = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while data := file.read(1 << 20):
                found.update(data)
    return found.hexdigest()


@lru_cache(maxsize=4)
def _dataset(name: str, folder: Path, split: str, views: tuple[str, ...]) -> Dataset:
    whole = datasets.open(name, folder, split)
    if not views:
        return whole
    names = [sample.view for sample in whole]
    if missing := set(views) - set(names):
        known = ", ".join(sorted(set(names) - {""})) or "which has one"
        raise ConfigError("--views", f"expected cameras of {name} ({known}), got {', '.join(sorted(missing))}")
    return whole.select([i for i, view in enumerate(names) if view in views])
