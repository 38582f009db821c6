# SPDX-License-Identifier: Apache-2.0
"""``pose-ros bench``: how fast it is, stage by stage, over ROS topics, and beside other programs."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pose_ros.cli import console
from pose_ros.cli.run import add_model
from pose_ros.errors import ConfigError

_OK, _FAILED = 0, 1

_EPILOG = """\
examples:
  pose-ros bench stages --model blazepose-full --hands         where the milliseconds of an image go, without ROS
  pose-ros bench stages --source walk.mp4 --output before.json --plot before.png
  pose-ros bench ros --cameras 1 2 4 --rate 15                 cameras, nodes and a listener, each its own process
  pose-ros bench ros --sizes 640x480 1920x1080 --transports raw compressed --people 1 5
  pose-ros bench compare before.json after.json                ratios, and what else differs
  pose-ros bench beside --rtmlib-python rtm/bin/python         rtmlib and MediaPipe, each in its own environment

Every figure says what is inside: with --explain in a list below the table, and always in the JSON.

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    style = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "bench", help="how fast it is: stages, over ROS topics, two results, other programs", formatter_class=style,
        description="Measure speed, latency, processor and memory on this machine.", epilog=_EPILOG + exit_codes,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    results = argparse.ArgumentParser(add_help=False)
    results.add_argument("--plot", metavar="FILE", type=Path, help="draw the percentiles; the ending names the format")
    written = argparse.ArgumentParser(add_help=False)
    written.add_argument("--output", metavar="FILE", type=Path, help="write all figures as JSON, for `compare`")
    written.add_argument("--explain", action="store_true", help="say below the table what is inside each number")

    def action(name: str, text: str, handler: Any, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(
            name, parents=[common, results, *parents], help=text, description=text, epilog=_EPILOG + exit_codes,
            formatter_class=style,
        )
        sub.set_defaults(handler=handler)
        return sub

    stages = action("stages", "Take the times of all stages of a pipeline, without ROS.", _stages, written)
    add_model(stages, default="blazepose-full", help="[detector+]estimator (default: %(default)s)")
    _add_source(stages)
    stages.add_argument("--size", metavar="WxH", type=_size, help="bring images to this size")
    stages.add_argument("--people", type=_count(0), default=0, metavar="N",
                        help="so many in each image, and at most so many looked for; of the source `demo` only")
    stages.add_argument("--images", type=_count(1), default=300, metavar="N",
                        help="images whose times are taken (default: %(default)s)")
    stages.add_argument("--warm-up", type=_count(1), default=30, metavar="N",
                        help="images before them (default: %(default)s)")

    ros = action("ros", "Take the times from images on ROS topics to skeletons heard, of 1 .. N cameras and people.",
                 _ros, written)  # fmt: skip
    ros.add_argument("--model", default="blazepose-full", help="[detector+]estimator (default: %(default)s)")
    _add_source(ros, " Several are shown by the cameras in turns.", nargs="+", default=["demo"])
    ros.add_argument("--sizes", metavar="WxH", type=_size, nargs="+", default=[(640, 480)],
                     help="of images (default: 640x480)")
    ros.add_argument("--transports", nargs="+", choices=("raw", "compressed", "shared"), default=["raw"])
    ros.add_argument("--cameras", type=_count(1), nargs="+", default=[1], metavar="N", help="cameras, each with a pose "
                     "node of its own (default: 1)")
    ros.add_argument("--people", type=_count(0), nargs="+", default=[0], metavar="N",
                     help="so many in each image, and at most so many looked for; of the source `demo` only")
    ros.add_argument("--rate", type=_positive, default=15.0, help="images per second of each camera (default: 15)")
    ros.add_argument("--seconds", type=_positive, default=15.0, help="time that counts (default: 15)")
    ros.add_argument("--warm-up", type=_positive, default=5.0, help="time before it (default: 5)")
    ros.add_argument("--together", action="store_true", help="run all pose nodes in one process")
    ros.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                     help="a parameter of the pose nodes, such as top_down.max_subjects=9")

    compare = action("compare", "Compare two files of figures: ratios, and what else differs.", _compare)
    compare.add_argument("files", metavar="JSON", type=Path, nargs=2, help="what --output wrote, before and after")
    compare.add_argument("--anyway", action="store_true", help="also where they worked on different things")
    compare.add_argument("--limit", type=_positive, metavar="TIMES", help="end with 1 where a median, or a number "
                         "without percentiles, is worse by more than this factor")

    beside = action("beside", "Measure beside rtmlib and MediaPipe, in turns, on the same images and networks.",
                    _beside, written)  # fmt: skip
    beside.add_argument("--rtmlib-python", type=Path, metavar="PYTHON", help="of an environment with rtmlib, "
                        "onnxruntime and openvino")
    beside.add_argument("--mediapipe-python", type=Path, metavar="PYTHON", help="of an environment with mediapipe")
    beside.add_argument("--work", nargs="+", choices=("boxes", "video", "pose", "hands", "face_mesh",
                                                      "face_mesh_irises", "holistic"),
                        help="rtmlib: RTMPose in given boxes, detector and pose on the clip; the others are solutions "
                        "of MediaPipe (default: all but face_mesh_irises of the programs that are named)")  # fmt: skip
    _add_source(beside)
    beside.add_argument("--people", type=_count(1), nargs="+", default=[1, 5, 10], metavar="N",
                        help="boxes in an image (default: 1 5 10)")
    beside.add_argument("--backends", nargs="+", choices=("onnxruntime", "openvino"),
                        default=["onnxruntime", "openvino"], help="of rtmlib (default: both)")
    beside.add_argument("--precisions", nargs="+", default=["float32"], metavar="P",
                        help="here, beside rtmlib: float32, bfloat16, ... (default: float32)")
    beside.add_argument("--rounds", type=_count(1), default=5, metavar="N", help="turns of each (default: 5)")
    beside.add_argument("--images", type=_count(1), default=60, metavar="N", help="in a turn (default: 60)")
    beside.add_argument("--cpus", type=_count(1), metavar="N", help="let all of them use so many processors only")
    beside.add_argument("--device", default="auto", help="here, beside MediaPipe (default: auto)")


def _add_source(parser: argparse.ArgumentParser, more: str = "", **settings: Any) -> None:
    parser.add_argument("--source", metavar="SOURCE", help="video, folder of images, image, or bag[#topic]; its first "
                        "60 images or 200 MB are decoded first, then shown forwards and backwards (default: demo, a "
                        "real photograph under a moving camera)." + more, **{"default": "demo", **settings})


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found or not all(map(int, found.groups())):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, such as 640x480, got '{text}'")
    return int(found[1]), int(found[2])


def _count(least: int) -> Any:
    def count(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got '{text}'")
        return int(text)

    return count


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got '{text}'")
    return value


def _stages(args: argparse.Namespace) -> int:
    import os
    import time

    from pose_ros.benching import stages, stream
    from pose_ros.benching.document import row
    from pose_ros.benching.machine import Others
    from pose_ros.benching.processes import age_s
    from pose_ros.cli.runner import Runner

    others = Others()
    frames, fps = stream.clip(args.source, args.people, args.size)
    args.max_subjects = args.max_subjects or (args.people if args.people > 1 else None)
    began = time.perf_counter()
    # One image is no video: nobody can be followed through it.
    pipeline = Runner(args).pipeline(follow=len(frames) > 1)
    opened = time.perf_counter()
    images = stream.endless(frames, fps)
    pipeline(next(images))
    first, start_s = time.perf_counter(), age_s(os.getpid())
    found = stages.measure(pipeline, images, args.images, args.warm_up)
    whole = {**found[-1]["numbers"], "open_s": opened - began, "first_image_ms": 1e3 * (first - opened),
             "start_s": start_s}  # None is left out
    options = {"model": pipeline.source.name, "device": pipeline.source.device, "hands": args.hands,
               "faces": args.faces, "skeleton": pipeline.skeleton.name, "max_subjects": args.max_subjects,
               "set": sorted(args.set), "images": args.images, "warm_up": args.warm_up}  # fmt: skip
    work = {"source": args.source, "people": args.people, "size": "{}x{}".format(*frames[0].size_wh),
            "clip": len(frames), "fps": round(fps, 3)}  # fmt: skip
    return _finish(args, "stages", stages.MEANS, [*found[:-1], row(stages.RUN, **whole)], options, work,
                   others.remarks())  # fmt: skip


def _ros(args: argparse.Namespace) -> int:
    import itertools

    from pose_ros.benching.machine import Others
    from pose_ros.cli import bench_ros
    from pose_ros.cli.fetching import fetch
    from pose_ros.media.sources import open_source
    from pose_ros.models.store import Store
    from pose_ros.wiring import models

    other = next((source for source in args.source if source != "demo"), "")
    if any(args.people) and other:
        raise ConfigError("--people", f"expected only with the source 'demo'; '{other}' shows whom it shows")
    for source in args.source:  # what is wrong is said before anything starts
        open_source(source).close()
    store, settings = Store(), [_parameter(text) for text in args.set]
    for card in models({"model": args.model}, store):  # nodes do not download, and would say so one by one
        fetch(store, card)
    others, rows = Others(), list[Any]()
    for size, transport, people, cameras in itertools.product(args.sizes, args.transports, args.people, args.cameras):
        parameters = [f"model:={args.model}", *settings]
        if people > 1 and not any(text.startswith("top_down.max_subjects:=") for text in settings):
            parameters.append(f"top_down.max_subjects:={people}")
        case = bench_ros.Case(cameras, people, size, transport, args.source, args.rate, args.seconds, args.warm_up,
                              args.together, parameters)  # fmt: skip
        console.note(f"{case.name} ...")
        rows += bench_ros.run(case)
    options = {"model": args.model, "together": args.together, "set": sorted(args.set), "seconds": args.seconds,
               "warm_up": args.warm_up}  # fmt: skip
    work = {"source": " ".join(args.source), "rate_hz": args.rate}
    return _finish(args, "ros", bench_ros.MEANS, rows, options, work, others.remarks())


def _parameter(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError("--set", f"expected KEY=VALUE, such as top_down.max_subjects=9, got '{text}'")
    return f"{name.strip()}:={value.strip()}"


def _beside(args: argparse.Namespace) -> int:
    from pose_ros.benching.beside import MEANS
    from pose_ros.benching.machine import Others
    from pose_ros.cli import bench_beside

    others = Others()
    rows, versions, work = bench_beside.run(args)
    options = {"backends": args.backends, "precisions": args.precisions, "device": args.device, "rounds": args.rounds,
               "images": args.images, "cpus": args.cpus, **versions}  # fmt: skip
    return _finish(args, "beside", MEANS, rows, options, work, others.remarks())


def _finish(
    args: argparse.Namespace, kind: str, means: Mapping[str, Any], rows: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any], workload: Mapping[str, Any], remarks: Sequence[str],
) -> int:  # fmt: skip
    """Show and write what was measured."""
    from pose_ros.benching.document import document, write
    from pose_ros.benching.machine import machine, versions

    data = document(kind, args.argv, means, rows, machine=machine(), versions=versions(),
                    options=console.jsonable(options), workload=console.jsonable(workload), remarks=list(remarks))
    if args.output:
        write(args.output, data)
    if args.plot:
        from pose_ros.benching.plots import plot

        plot([data], [kind], args.plot)
    if args.json:
        console.show_json(data)
        return _OK
    tables: list[console.Table | str] = [*_tables(data), "\n".join(remarks)]
    if args.explain:
        tables.append("\n".join(textwrap.fill(f"{name}: {meaning['is']}", 100, subsequent_indent="    ")
                                for name, meaning in data["means"].items()))
    console.show(*tables)
    return _OK


#: So many single numbers stand beside one another, more below one another.
_FEW = 5


def _tables(data: Mapping[str, Any]) -> list[console.Table]:
    """Return the percentiles of every case, and the single numbers: one column for each where there are few."""
    spreads = [[row["case"], name, value["count"], *(_digits(value.get(p)) for p in ("p50", "p95", "p99", "max"))]
               for row in data["rows"] for name, value in row["numbers"].items() if isinstance(value, Mapping)]
    single = [[row["case"], name, _digits(value), data["means"].get(name, {}).get("unit", "")]
              for row in data["rows"] for name, value in row["numbers"].items() if not isinstance(value, Mapping)]
    columns = ["case", "number", "count", "p50", "p95", "p99", "max"]
    tables = [console.Table(columns, spreads)] if spreads else []
    names = list(dict.fromkeys(name for _, name, *_ in single))
    if len(names) <= _FEW:
        cells = {(case, name): value for case, name, value, _ in single}
        cases = dict.fromkeys(case for case, *_ in single)
        single = [[case, *(cells.get((case, name), "-") for name in names)] for case in cases]
    title = ["case", *names] if len(names) <= _FEW else ["case", "number", "value", "unit"]
    return [*tables, console.Table(title, single)] if single else tables


def _digits(value: float | None) -> str:
    """Return three digits that count, flush right by hand."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def _compare(args: argparse.Namespace) -> int:
    from pose_ros.benching.compare import compare
    from pose_ros.benching.document import read

    a, b = map(read, args.files)
    ratios, told, alone = compare(a, b, args.anyway)
    if args.plot:
        from pose_ros.benching.plots import plot

        plot([a, b], [path.stem for path in args.files], args.plot)
    over = [r for r in ratios if args.limit and not r.number.endswith(("p95", "p99")) and (r.worse or 0) > args.limit]
    if args.json:
        console.show_json({
            "ratios": [{"case": r.case, "number": r.number, "a": r.a, "b": r.b, "b/a": r.ratio, "worse": r.worse}
                       for r in ratios],
            "differences": [dict(zip(("part", "key", "a", "b"), entry, strict=True)) for entry in told],
            "only in one": alone, "worse than the limit": [f"{r.case}: {r.number}" for r in over],
        })  # fmt: skip
        return _FAILED if over else _OK
    rows = [[r.case, r.number, _digits(r.a), _digits(r.b), r.unit, "-" if r.ratio is None else f"{r.ratio:.2f}",
             _word(r.worse)] for r in ratios]  # fmt: skip
    texts: list[console.Table | str] = [console.Table(["case", "number", "A", "B", "unit", "B/A", "B is"], rows)]
    if told:
        texts.append(console.Table(["differs", "key", "A", "B"], [[p, k, _short(x), _short(y)] for p, k, x, y in told]))
    texts += [f"only in one of them: {', '.join(alone)}"] if alone else []
    texts += [f"{name}: {remark}" for name, side in (("A", a), ("B", b)) for remark in side["remarks"]]
    if over:
        texts.append(f"worse by more than {args.limit:g} times: " + "; ".join(f"{r.case}: {r.number}" for r in over))
    console.show(*texts)
    return _FAILED if over else _OK


#: Less is said to be the same.
_SAME = 1.05


def _word(worse: float | None) -> str:
    if worse is None:
        return ""
    return "worse" if worse > _SAME else "better" if worse < 1 / _SAME else "the same"


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
