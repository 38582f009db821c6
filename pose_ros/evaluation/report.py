# SPDX-License-Identifier: Apache-2.0
"""Scores of models on data sets as rows of tables, Markdown and JSON, beside what was published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import pose_ros
from pose_ros.evaluation.job import Job
from pose_ros.evaluation.published import comparable, published
from pose_ros.evaluation.score import Measure, Scores
from pose_ros.models.accuracy import Result, told
from pose_ros.models.card import ModelCard

SCHEMA = "pose_ros.eval/2"


@dataclass(frozen=True, eq=False)
class Entry:
    """One model on one data set."""

    job: Job
    scores: Scores
    card: ModelCard
    #: Who said where subjects are.
    boxes: str

    def published(self, *, alike: bool) -> list[Result]:
        """Return what authors printed for these measures; only of models that know every keypoint of the data set.

        Args:
            alike: Whether for this split and these boxes, as far as they say, or for others.
        """
        if not self.scores.shared.all():
            return []
        split = self.job.dataset().split
        return [one for one in published(self.card, self.job.data, (m.name for m in self.scores.measures))
                if comparable(one, split, self.boxes) == alike]  # fmt: skip


def text(measure: Measure) -> str:
    """Return a measure as people read it."""
    if math.isnan(measure.value):
        return "-"
    value = f"{measure.value:.{measure.digits}f}"
    if not math.isnan(measure.low):
        value += f" ({measure.low:.{measure.digits}f} .. {measure.high:.{measure.digits}f})"
    return value + f" {measure.unit}" * bool(measure.unit)


def tables(entries: Sequence[Entry]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return title, columns and rows of one table for each data set, a row for each model."""
    found = []
    for key in dict.fromkeys(map(_table, entries)):
        same = [e for e in entries if _table(e) == key]
        first = same[0].scores
        what = "keypoints" if same[0].card.kind == "lifter" else "boxes"
        title = (f"{same[0].job.data} ({same[0].job.dataset().split}): {first.images} images, {len(first.subjects)} "
                 f"subjects, {what} of the {'labels' if same[0].boxes == 'truth' else same[0].boxes}")
        other = any(e.published(alike=False) for e in same)
        columns = ["model", *(m.name for m in first.measures), "found", "keypoints", "published",
                   *["published for other conditions"] * other]
        rows = [[e.job.model, *(text(m) for m in e.scores.measures), f"{e.scores.found}/{len(e.scores.subjects)}",
                 _keypoints(e), *_published(e)[: 1 + other]] for e in same]
        found.append((title, columns, rows))
    return found


def _table(entry: Entry) -> tuple[Any, ...]:
    """Return what entries of one table have in common."""
    job = entry.job
    names = tuple(measure.name for measure in entry.scores.measures)
    return job.data, job.folder, job.split, entry.boxes, entry.card.kind, names


def _published(entry: Entry) -> tuple[str, str]:
    alike, other = ("; ".join(told(entry.published(alike=alike))) or "-" for alike in (True, False))
    return alike, other


def _keypoints(entry: Entry) -> str:
    shared = entry.scores.shared
    return "-" if entry.card.kind == "detector" else f"{int(shared.sum())}/{len(shared)}"


def _sources(entry: Entry) -> list[str]:
    """Return where all of its published numbers stand."""
    results = [one for alike in (True, False) for one in entry.published(alike=alike)]
    return list(dict.fromkeys(one.source or entry.card.source for one in results))


def markdown(entries: Sequence[Entry]) -> str:
    """Return the tables as Markdown."""
    parts = [f"# Evaluation\n\npose_ros {pose_ros.__version__}. In brackets: 95 % interval by drawing images again. "
             "Published: what the authors of a model printed, for the whole split and by their own protocol; apart "
             "where they say another split, or other boxes."]
    for title, columns, rows in tables(entries):
        lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
                 for row in (columns, ["---"] * len(columns), *rows)]
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    sources = {e.card.name: " ".join(urls) for e in entries if (urls := _sources(e))}
    if sources:
        parts.append("Sources of published numbers: " + "; ".join(f"{name}: {urls}" for name, urls in sources.items()))
    return "\n\n".join(parts) + "\n"


def document(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return everything as what JSON can hold, but for NaN."""
    return {"schema": SCHEMA, "package": pose_ros.__version__, "results": [_result(entry) for entry in entries]}


def _result(entry: Entry) -> dict[str, Any]:
    job, scores, truth = entry.job, entry.scores, entry.job.dataset()
    return {
        "data": job.data, "split": truth.split, "model": job.model, "boxes": entry.boxes, "images": scores.images,
        "subjects": len(scores.subjects), "found": scores.found, "skeleton": truth.skeleton.name,
        "judged_by": scores.measures[0].name,
        "measures": {m.name: {"value": m.value, "unit": m.unit, "interval95": [m.low, m.high]}
                     for m in scores.measures},
        "published": [{"source": entry.card.source, **one.plain(), "comparable": alike}
                      for alike in (True, False) for one in entry.published(alike=alike)],
        scores.parts_of: {"measure": scores.part_measure, "values": {
            name: float(value) for name, value in zip(scores.parts, scores.per_part, strict=True)
            if scores.parts_of != "keypoints" or scores.shared[truth.skeleton.index[name]]}},
        "unknown_keypoints": [name for name, known in zip(truth.skeleton.keypoints, scores.shared, strict=True)
                              if not known],
    }  # fmt: skip


def worst(scores: Scores, count: int) -> np.ndarray:
    """Return which of the judged subjects are worst, at most ``count``, the worst first; those at no fault are left."""
    order = np.argsort(-scores.errors, kind="stable")
    return order[scores.errors[order] > 0][:count]
