# SPDX-License-Identifier: Apache-2.0
"""``pose-ros eval``: models over labelled data, and the field's own numbers for them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console
from pose_ros.errors import ConfigError

if TYPE_CHECKING:
    from pose_ros.evaluation.job import Job
    from pose_ros.evaluation.report import Entry

_OK = 0

_EPILOG = """\
examples:
  pose-ros eval --data coco:~/data/coco --model yolox-nano+simplepose-ultralight
  pose-ros eval --data coco/val2017:~/coco --model vitpose-b --boxes truth --set estimator.flip_test=true
  pose-ros eval --data wflw:~/wflw --data 300w:~/300w --model pfld-68 dlib-68 --boxes keypoints
  pose-ros eval --data freihand:~/freihand --model mediapipe-hand-landmark-full --output out --plot --worst 12
  pose-ros eval --data coco:~/data/coco --model yolox-nano rtmdet-nano                   # detectors alone
  pose-ros eval --data h36m:~/h36m --model videopose3d-243 martinez-h36m                # lifters, by given keypoints
  pose-ros eval --data posetrack18:~/posetrack --model yolox-nano+rtmpose-m --protocol tracks
  pose-ros eval --data panoptic:~/panoptic --model yolox-nano+rtmpose-m --protocol views
  pose-ros eval --data coco:~/data/coco --model vitpose-b --output out --jobs 8         # eight processes
  pose-ros eval --data coco:~/data/coco --model vitpose-b --output out --jobs 8 --resume      # ... was killed: go on
  pose-ros eval --data coco:/data/coco --model vitpose-b --output out --engine dask --scheduler tcp://head:8786

Which data sets there are, and how their files have to lie: `pose-ros datasets list` and `show`. How each is judged, and
what the numbers mean: docs/evaluation.md. Images do not know of one another and networks run on one thread, so the
result is the same for any number of processes or machines. --output gets report.md and report.json, and keeps the
answers of each model, with which --resume goes on.

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "eval", parents=[common], help="accuracy of models on labelled data, by the rules of each data set",
        description="Run models over labelled data and print the numbers that each data set is judged by.",
        epilog=_EPILOG + exit_codes, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", metavar="NAME[/SPLIT][:FOLDER]", action="append", required=True,
                        help="data set, its split or a label file below FOLDER, and where it lies (default: a folder "
                             "of its name in $POSE_ROS_DATA); may be repeated")
    parser.add_argument("--model", metavar="MODEL", nargs="+", action="extend", required=True,
                        help="[detector+]estimator, a detector or a lifter; any number of them")
    parser.add_argument("--protocol", default="",
                        help="where a set can be judged in several ways: tracks (ids over its videos), views (all its "
                             "cameras at once), or one of docs/evaluation.md (default: by the first metric of the set)")
    parser.add_argument("--boxes", default="",
                        help="who says where subjects are: truth (boxes of the labels), keypoints (boxes that just "
                             "contain the labelled keypoints) or detector (default: as the data set is usually judged, "
                             "and detector where the model names one)")
    parser.add_argument("--views", metavar="CAMERA", nargs="+", default=[],
                        help="only what these cameras saw, where a set has several, such as 00_03 00_06 of panoptic")
    parser.add_argument("--limit", metavar="N", type=int, default=0, help="only the first N images")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                        help="parameter of the models, such as estimator.flip_test=true or runtime=onnxruntime")
    parser.add_argument("--resamples", metavar="N", type=int, default=1000,
                        help="draws for the 95%% interval; 0: no interval (default: %(default)s)")
    parser.add_argument("--output", metavar="DIR", type=Path, help="write reports here, and keep answers")
    parser.add_argument("--resume", action="store_true", help="take the answers that --output has already")
    parser.add_argument("--plot", action="store_true", help="also draw each keypoint; needs matplotlib and --output")
    parser.add_argument("--worst", metavar="N", type=int, default=0, help="also draw the N worst cases; needs --output")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="so many processes (default: %(default)s)")
    parser.add_argument("--engine", default="processes", help="processes, or dask (needs pose_ros[cluster])")
    parser.add_argument("--scheduler", metavar="ADDRESS", default="",
                        help="Dask cluster that is running; --engine dask starts --jobs workers here when left out")
    parser.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    needs = {"--resume": args.resume, "--plot": args.plot, "--worst": args.worst}
    lacking = [name for name, wanted in needs.items() if wanted and args.output is None]
    if lacking:
        raise ConfigError(lacking[0], "expected --output DIR to write to")
    if args.resamples < 0 or args.worst < 0:
        raise ConfigError("--resamples, --worst", "expected numbers from 0 on")
    if args.plot:
        _check_plots()
    jobs = _jobs(args)
    for job in jobs:
        job.check()
    entries = [_entry(job, args) for job in jobs]
    files = _write(entries, args) if args.output is not None else []
    from pose_ros.evaluation import report

    if args.json:
        console.show_json(report.document(entries))
        return _OK
    shown: list[console.Table | str] = [
        console.Table(columns, rows, title=title) for title, columns, rows in report.tables(entries)]
    if files:
        shown.append("\n".join(["written:", *(f"  {path}" for path in files)]))
    console.show(*shown)
    return _OK


def _jobs(args: argparse.Namespace) -> list[Job]:
    import json

    from pose_ros.cli.runner import set_all
    from pose_ros.evaluation.job import Job

    settings: dict[str, Any] = {}
    set_all(settings, args.set)
    wanted = [(*_place(text), model) for text in args.data for model in args.model]
    return [Job(name, folder, model, split, args.boxes, json.dumps(settings, sort_keys=True), args.limit,
                args.protocol, tuple(args.views))
            for name, split, folder, model in dict.fromkeys(wanted)]


def _place(text: str) -> tuple[str, str, Path]:
    """Return name, split and folder of ``NAME[/SPLIT][:FOLDER]``."""
    what, colon, where = text.partition(":")
    name, _, split = what.partition("/")
    if colon and not where:
        raise ConfigError("--data", f"expected a folder after the colon of '{text}'")
    if not colon:
        above = os.environ.get("POSE_ROS_DATA", "")
        if not above:
            raise ConfigError("--data", f"expected NAME:FOLDER, got '{text}'; or set POSE_ROS_DATA to the folder that "
                                        f"holds a folder {name}")
        where = str(Path(above) / name)
    return name, split, Path(where).expanduser().resolve()


def _check_plots() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise ConfigError("--plot", "needs the package matplotlib: pip install 'pose_ros[record]'")


def _entry(job: Job, args: argparse.Namespace) -> Entry:
    from pose_ros.evaluation import estimate, score
    from pose_ros.evaluation.report import Entry

    folder = None if args.output is None else args.output / "answers" / _slug(job)
    with console.progress(job.name) as told:
        found = estimate(job, folder, resume=args.resume, jobs=args.jobs, engine=args.engine,
                         scheduler=args.scheduler, progress=told)
    scores = score(job.dataset(), found, job.skeleton(), args.resamples, job.protocol())
    return Entry(job, scores, job.cards()[1], job.where())


def _slug(job: Job) -> str:
    return re.sub(r"[^a-zA-Z0-9.+_-]+", "_", job.name)


def _write(entries: Sequence[Entry], args: argparse.Namespace) -> list[Path]:
    """Write what was asked for and return the files."""
    import json

    from pose_ros.evaluation import pictures, report

    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    files = [output / "report.md", output / "report.json"]
    files[0].write_text(report.markdown(entries), encoding="utf-8")
    document = console.jsonable(report.document(entries))
    files[1].write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    if args.plot:
        for key in dict.fromkeys((e.job.data, e.job.split, e.job.folder) for e in entries):
            same = [e for e in entries if (e.job.data, e.job.split, e.job.folder) == key]
            files.append(output / f"keypoints_{re.sub('[^a-zA-Z0-9.+-]+', '_', ' '.join(key[:2]).strip())}.png")
            pictures.plot(same, files[-1])
    if args.worst:
        for entry in entries:
            pictures.write_worst(entry, args.worst, output / "worst" / _slug(entry.job))
            files.append(output / "worst" / _slug(entry.job))
    return files
