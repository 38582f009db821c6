# SPDX-License-Identifier: Apache-2.0
"""What is to be done: one model on one data set, as plain data that travels to other processes and machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pose_ros
from pose_ros import datasets, wiring
from pose_ros.core.convert import converts
from pose_ros.datasets import Dataset
from pose_ros.errors import ConfigError
from pose_ros.evaluation import protocol
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue

BOXES = ("truth", "keypoints", "detector")
#: Images in one file of answers: what a killed run loses at most, for each process.
SHARD = 32


@dataclass(frozen=True)
class Job:
    """One model on one data set.

    Raises:
        ConfigError: The pieces do not fit together.
    """

    data: str
    folder: Path
    #: ``[detector+]estimator``.
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
        return _dataset(self.data, self.folder, self.split)

    def indices(self) -> range:
        """Return the images that are looked at."""
        return range(min(self.limit or len(self.dataset()), len(self.dataset())))

    def where(self, store: Store | None = None) -> str:
        """Return who says where subjects are.

        Raises:
            ConfigError: That is not known, or the model does not ask.
        """
        detector, card = wiring.parse_model(self.model, store or Store())
        asks = wiring.looks_where_told(card)
        named = "+" in self.model or not asks
        boxes = self.boxes or ("detector" if named else protocol.of(self.dataset()).boxes)
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
        first = next((sample for i in self.indices() if len(sample := truth[i])), None)
        if first is not None:
            protocol.of(truth).check(truth.name, first)
        card = wiring.parse_model(self.model, store)[1]
        own = catalogue.get(card.skeleton)
        if not converts(own, protocol.labelled(truth, own)):
            others = catalogue.targets(own)
            fitting = [name for name in datasets.names() if datasets.get(name).skeleton in {own.name, *others}]
            raise ConfigError("--model", f"'{card.name}' says keypoints of '{own.name}', of which none are known in "
                                         f"'{truth.skeleton.name}' of {truth.name}. '{own.name}' converts to "
                                         f"{', '.join(others) or 'nothing else'}; data sets it can be judged by: "
                                         f"{', '.join(fitting) or 'none'}")
        boxes = self.where(store)
        config = self.config(store)
        if boxes == "detector":
            wiring.models(config, store)
        if first is None:
            raise ConfigError("--data", f"{truth.name} in {truth.folder} has no labels in {truth.split}, or not in the "
                                        f"first {len(self.indices())} images")

    def config(self, store: Store) -> dict[str, Any]:
        """Return the configuration of the model: what the protocol says, and the settings on top of it."""
        precision = protocol.of(self.dataset()).kind == "precision"
        detector, card = wiring.parse_model(self.model, store)
        # One thread, so that the number of processes changes nothing, not even how sums are rounded.
        config: dict[str, Any] = {"model": self.model, "threads": 1, "exact": True}
        if self.where(store) == "detector":
            config |= {"track": False, "smooth": False, "top_down": {"follow": False, "max_subjects": 100}}
            if precision and detector is not None:
                # A detector is judged with nearly all it has to say: average precision weighs its doubts itself.
                config["detector"] = wiring.known_options(
                    detector, {"score_threshold": 0.01, "nms_iou": 0.65, "max_detections": 100})
        config["estimator"] = wiring.known_options(card, {"follow": False})
        for key, value in json.loads(self.settings).items():
            if isinstance(value, Mapping) and isinstance(config.get(key), Mapping):
                value = {**config[key], **value}
            config[key] = value
        return config

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that answers depend on, to refuse those of something else."""
        store, truth = Store(), self.dataset()
        detector, card = wiring.parse_model(self.model, store)
        boxes = self.where(store)
        used = [card, *map(store.card, card.needs.values()), *([detector] if boxes == "detector" and detector else [])]
        return {
            "package": pose_ros.__version__, "data": truth.name, "split": truth.split,
            "labels": _hash(truth.labels), "images": len(self.indices()), "shard": SHARD, "model": self.model,
            "files": {one.name: _hash([store.fetch(one)]) for one in used}, "boxes": boxes,
            "settings": self.config(store),
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
def _dataset(name: str, folder: Path, split: str) -> Dataset:
    return datasets.open(name, folder, split)
