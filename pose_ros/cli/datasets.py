# SPDX-License-Identifier: Apache-2.0
"""``pose-ros datasets``: which labelled data can be read, where to get them, and whether a copy of them is whole."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console

if TYPE_CHECKING:
    import numpy as np

    from pose_ros.datasets import Dataset, DatasetCard, Sample

_OK, _FAILED = 0, 1
#: Pictures of a contact sheet stand in squares of this size, so many in a row.
_SQUARE_PX, _ACROSS = 400, 4

_EPILOG = """\
examples:
  pose-ros datasets list                                  every data set that can be read
  pose-ros datasets list hand                             those with that word in name, title, skeleton or metric
  pose-ros datasets show crowdpose                        where to get it, its licence, how its files have to lie
  pose-ros datasets check coco ~/data/coco                read all labels, count them, look whether pictures are there
  pose-ros datasets check coco ~/data/coco --split train2017
  pose-ros datasets check wflw ~/data/wflw --pictures sheet.jpg     draw labels into some pictures, to look at
  pose-ros datasets check deeplabcut ~/my-project         your own project is a data set too

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    style = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "datasets", help="labelled data of others: list, show, check", epilog=_EPILOG + exit_codes,
        formatter_class=style,
        description="Show which labelled data can be read, where to get them and under what terms; check a copy.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, handler: Any) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(
            name, parents=[common], help=text, description=text, epilog=_EPILOG + exit_codes, formatter_class=style
        )
        sub.set_defaults(handler=handler)
        return sub

    action("list", "Show which data sets can be read.", _list).add_argument(
        "words", metavar="WORD", nargs="*", help="only data sets with this word in name, title, skeleton or metric"
    )
    action("show", "Show where to get a data set, its licence and how its files have to lie.", _show).add_argument(
        "names", metavar="NAME", nargs="+", help="data set, see `pose-ros datasets list`"
    )
    check = action("check", "Read all labels of a copy, count them, and look whether the pictures are there.", _check)
    check.add_argument("name", metavar="NAME", help="data set, see `pose-ros datasets list`")
    check.add_argument("folder", metavar="FOLDER", type=Path, help="where its files lie")
    check.add_argument("--split", metavar="SPLIT", default="",
                       help="one of its splits, or a label file below FOLDER (default: the first split that is there)")
    check.add_argument("--pictures", metavar="FILE", type=Path, help="draw labels into some pictures, on one sheet")
    check.add_argument("--count", metavar="N", type=int, default=16,
                       help="so many pictures, spread over the data set (default: %(default)s)")


def _list(args: argparse.Namespace) -> int:
    from pose_ros import datasets

    cards = [datasets.get(name) for name in datasets.names()]
    texts = {c.name: " ".join((c.name, c.title, c.skeleton, *c.metrics)).lower() for c in cards}
    cards = [card for card in cards if all(word.lower() in texts[card.name] for word in args.words)]
    rows = [_row(card) for card in cards]
    if args.json:
        console.show_json(rows)
    else:
        columns = ("name", "skeleton", "metrics", "commercial use", "title")
        cells = [[row["name"], row["skeleton"] or "its own", ", ".join(row["metrics"]),
                  row["commercial use"], row["title"]] for row in rows]
        console.show(console.Table(columns, cells, caption=f"{len(rows)} data sets. `pose-ros datasets show NAME` says "
                                                           "where to get one and what its licence is."))
    return _OK


def _row(card: DatasetCard) -> dict[str, Any]:
    return {
        "name": card.name, "title": card.title, "skeleton": card.skeleton or None, "url": card.url,
        "licence": card.licence, "commercial use": "excluded" if card.research_only else "see licence",
        "metrics": card.metrics, "splits": card.splits, "layouts": [layout.text() for layout in card.layouts],
        "tested with": card.seen, "citation": card.citation, "note": card.note or None,
    }


def _show(args: argparse.Namespace) -> int:
    from pose_ros import datasets

    rows = [_row(datasets.get(name)) for name in args.names]
    if args.json:
        console.show_json(rows)
        return _OK
    texts = []
    for row in rows:
        layouts = row.pop("layouts")
        lines = [f"{key:<16}{', '.join(value) if isinstance(value, tuple) else console.cell_text(value)}"
                 for key, value in row.items() if value is not None]
        texts.append("\n".join([*lines, "files, one of:", *(f"  {layout}" for layout in layouts)]))
    console.show(*texts)
    return _OK


def _check(args: argparse.Namespace) -> int:
    """Count what is there; fail where pictures or all labels are missing."""
    from pose_ros import datasets

    dataset = datasets.open(args.name, args.folder, args.split)
    with console.progress(args.name) as told:
        report, missing = survey(dataset, told)
    if args.pictures:
        report["sheet"] = str(_draw(dataset, args.pictures, args.count))
    if args.json:
        console.show_json({**report, "missing": missing})
    else:
        console.show("\n".join(f"{key:<24}{console.cell_text(value)}" for key, value in report.items()))
    if missing:
        console.note(f"pose-ros: {len(missing)} of {len(dataset)} pictures are not there, such as {missing[0]}")
    return _FAILED if missing or not report["labelled keypoints"] else _OK


def survey(dataset: Dataset, progress: Any = None) -> tuple[dict[str, Any], list[str]]:
    """Read everything once; return what there is, and the pictures that are not."""
    missing, subjects, ignored, points, hidden, metric, tracks = [], 0, 0, 0, 0, 0, set()
    for sample in dataset.walk(progress):
        missing += [] if sample.there() else [sample.where]
        subjects += len(sample)
        ignored += int(sample.ignore.sum())
        points += int((sample.visibility > 0).sum())
        hidden += int((sample.visibility == 1).sum())
        metric += 0 if sample.points is None else int((sample.points == sample.points).all(axis=2).sum())
        if sample.tracks is not None:
            tracks |= {(sample.sequence, track) for track in sample.tracks.tolist()}
    report = {
        "data set": dataset.name, "split": dataset.split, "files of": dataset.layout.by,
        "skeleton": dataset.skeleton.name, "keypoints": len(dataset.skeleton), "categories": len(dataset.categories),
        "images": len(dataset), "pictures there": len(dataset) - len(missing), "subjects": subjects,
        "ignored subjects": ignored, "tracks": len(tracks), "labelled keypoints": points, "hidden keypoints": hidden,
        "keypoints in metres": metric,
    }
    return report, missing


def _draw(dataset: Dataset, path: Path, count: int) -> Path:
    import cv2

    chosen = [i for i in range(len(dataset)) if len(dataset[i]) and dataset[i].there()] if len(dataset) <= count else [
        i * len(dataset) // count for i in range(count)]
    sheet = contact_sheet([sample for sample in map(dataset.__getitem__, chosen) if len(sample) and sample.there()],
                          dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    good, data = cv2.imencode(path.suffix or ".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not good:
        raise OSError(f"{path}: expected a suffix of a picture, such as .jpg")
    path.write_bytes(data.tobytes())
    return path


def contact_sheet(samples: Sequence[Sample], dataset: Dataset) -> np.ndarray:
    """Return samples with their labels drawn, RGB, in rows of squares; hidden keypoints are drawn like visible ones."""
    import numpy as np

    rows = -(-max(len(samples), 1) // _ACROSS)
    sheet = np.zeros((rows * _SQUARE_PX, min(max(len(samples), 1), _ACROSS) * _SQUARE_PX, 3), np.uint8)
    for number, sample in enumerate(samples):
        y, x = (_SQUARE_PX * k for k in divmod(number, _ACROSS))
        sheet[y : y + _SQUARE_PX, x : x + _SQUARE_PX] = _square(sample, dataset)
    return sheet


def _square(sample: Sample, dataset: Dataset) -> np.ndarray:
    """Return what is around all subjects of a sample, labels drawn, (S, S, 3)."""
    import numpy as np

    from pose_ros.core.poses import Poses
    from pose_ros.media.square import square

    poses = Poses(dataset.skeleton, sample.keypoints, (sample.visibility > 0).astype(np.float32), boxes=sample.boxes,
                  ids=np.arange(1, len(sample) + 1),
                  labels=np.array([dataset.categories[c] for c in sample.categories], "U32"))
    return square(sample.read(), sample.boxes, poses, _SQUARE_PX)
