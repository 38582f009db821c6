# SPDX-License-Identifier: Apache-2.0
"""``pose-ros run``: images and videos in, a table, pictures and JSON out; no ROS."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pose_ros.cli import console
from pose_ros.errors import ConfigError

_OK, _FAILED, _INTERRUPTED = 0, 1, 130

_EPILOG = """\
examples:
  pose-ros run photo.jpg                                         a table of who is in it
  pose-ros run photo.jpg --hands --faces --output out            with the hands and faces of the people
  pose-ros run photos/ --output out                              annotated pictures and out/results.json
  pose-ros run clip.mp4 --output out --max-frames 300            an annotated video; people keep their ids
  pose-ros run 0                                                 the webcam, until Ctrl-C; what was found is kept
  pose-ros run photo.jpg --model yolox-nano+simplepose-ultralight --skeleton coco17
  pose-ros run photo.jpg --set precision=bfloat16 --set estimator.flip_test=true
  pose-ros run photo.jpg --json | jq '.sources[0].frames[0].subjects | length'

The JSON is described in pose_ros/cli/results.py: keypoints in pixels with scores, 3D where the model has it, null for
what was not found. With --coco, OUTPUT/coco.json holds the same as COCO keypoint results; image ids are taken from the
file names as COCO writes them (000000000139.jpg is 139), else counted from 1.

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        parents=[common],
        help="find people, hands, faces or animals in images and videos; needs no ROS",
        description="Find people, hands, faces or animals in images, image folders, videos, webcams, streams and bags. "
                    "Needs no ROS.",
        epilog=_EPILOG + exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", metavar="SOURCE", nargs="+",
                        help="image, folder of images, video, webcam number, stream address, bag, or `demo`")
    add_model(parser, default="blazepose-full", help="[detector+]estimator (default: %(default)s)")
    parser.add_argument("--output", metavar="DIR", type=Path, help="write annotated media and results.json here")
    parser.add_argument("--coco", action="store_true", help="also write OUTPUT/coco.json")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth frame of a video")
    parser.add_argument("--max-frames", type=int, default=0, metavar="N", help="stop a video after N frames")
    parser.add_argument("--min-score", type=float, default=0.3, metavar="S",
                        help="draw and count keypoints from this score on (default: %(default)s)")
    parser.set_defaults(handler=handle)


def add_model(parser: argparse.ArgumentParser, default: str, help: str) -> None:
    """Add the arguments that say what looks at images; ``help`` is that of ``--model``."""
    parser.add_argument("--model", default=default, help=help)
    parser.add_argument("--hands", action="store_true", help="also look at the hands of people; --set hands.model=NAME "
                        "for another model than mediapipe-hand-landmark-full")
    parser.add_argument("--faces", action="store_true", help="also look at the faces of people; --set faces.model=NAME "
                        "for another model than mediapipe-face-mesh-iris")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, tensorrt, openvino:NAME (default: auto)")
    parser.add_argument("--skeleton", default="", help="convert keypoints to this skeleton, such as coco17")
    parser.add_argument("--max-subjects", type=int, default=None, metavar="N", help="most people in one image")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                        help="any other parameter of the pose node, such as runtime=torch or top_down.max_subjects=9")


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.every < 1:
        raise ConfigError("--every", f"expected a number from 1 on, got {args.every}")
    if args.coco and args.output is None:
        raise ConfigError("--coco", "expected --output DIR to write to")
    from pose_ros.cli import results
    from pose_ros.cli.runner import Runner

    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
    runner = Runner(args)
    done = list(runner.run(_expand(args.sources)))
    document = {"schema": results.SCHEMA, **runner.about(), "sources": done}
    files = [Path(d["annotated"]) for d in done if "annotated" in d]
    if args.output is not None:
        files.append(_write(args.output / "results.json", document))
    if args.coco:
        stills = [d for d in done if d.get("kind") == "image"]
        names = [Path(d["source"]).stem for d in stills]
        ids = [int(name) if name.isdigit() else i for i, name in enumerate(names, 1)]
        files.append(_write(args.output / "coco.json", results.to_coco(stills, ids)))
    if args.json:
        console.show_json(document)
    else:
        # Where no source could be read, nothing was loaded.
        model = f"{document['model']} by {document['device']}" if document["device"] else ""
        _show(model, done, args.min_score, files)
    if runner.interrupted:
        return _INTERRUPTED
    return _FAILED if any("error" in d for d in done) else _OK


def _expand(specs: list[str]) -> Iterator[str]:
    """Take folders of images apart: every image stands for itself."""
    from pose_ros.media.images import Images
    from pose_ros.media.sources import open_source

    for spec in specs:
        if Path(spec).is_dir():
            with open_source(spec) as source:
                if isinstance(source, Images):
                    yield from map(str, source.paths)
                    continue
        yield spec


def _write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(console.jsonable(data), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _show(model: str, done: list[dict[str, Any]], min_score: float, files: list[Path]) -> None:
    """Print one table per image, one line of a table per video, and what was written."""
    parts: list[console.Table | str] = [model] if model else []
    for source in done:
        if source.get("kind") == "image" and source["frames"]:
            parts.append(_image_table(source, min_score))
    videos = [s for s in done if s.get("kind") == "video" and s["frames"]]
    if videos:
        names = list(videos[0]["frames"][0].get("parts", {}))
        columns = ["video", "frames", "with any", "most at once", *(f"most {name}" for name in names), "ids",
                   "ms per frame"]
        parts.append(console.Table(columns, [_video_row(v, names) for v in videos]))
    if files:
        parts.append("\n".join(["written:", *(f"  {f}" for f in files)]))
    console.show(*parts)


def _image_table(source: dict[str, Any], min_score: float) -> console.Table | str:
    frame = source["frames"][0]
    rows = [_row(number, "", subject, min_score) for number, subject in enumerate(frame["subjects"], 1)]
    found = f"{len(rows)} found"
    for name, subjects in frame.get("parts", {}).items():
        rows += [_row("", name.removesuffix("s"), subject, min_score) for subject in subjects]
        found += f", {len(subjects)} {name}"
    times = ", ".join(f"{name} {ms:.1f}" for name, ms in frame["ms"].items())
    size = f"{source['width']} x {source['height']}"
    title = f"{source['source']}: {size}, {found}; ms: {times}"
    columns = ["#", "what", "score", "box x0 y0 x1 y1", "keypoints seen"]
    if not any(row[1] for row in rows):
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    return console.Table(columns, rows, title=title) if rows else title


def _row(number: int | str, kind: str, subject: dict[str, Any], min_score: float) -> list[Any]:
    """Return one line of the table of an image; ``kind`` is what a part is called."""
    seen = sum(score >= min_score for _, _, score in subject["keypoints"])
    box = " ".join(f"{round(v, 0) + 0.0:.0f}" for v in subject["box"])  # no -0
    owner = f"of {subject['parent']}" if subject.get("parent") else ""
    what = " ".join(filter(None, [subject.get("side"), kind or subject.get("label"), owner]))
    return [number, what, f"{subject['score']:.2f}", box, f"{seen} of {len(subject['keypoints'])}"]


def _video_row(source: dict[str, Any], parts: list[str]) -> list[Any]:
    frames = source["frames"]
    counts = [len(f["subjects"]) for f in frames]
    ids = {s["id"] for f in frames for s in f["subjects"]}
    times = [sum(f["ms"].values()) for f in frames]
    return [
        source["source"], len(frames), sum(c > 0 for c in counts), max(counts, default=0),
        *(max(len(f["parts"][name]) for f in frames) for name in parts), len(ids),
        statistics.median(times) if times else None,
    ]
