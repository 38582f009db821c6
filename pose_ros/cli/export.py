# SPDX-License-Identifier: Apache-2.0
"""``pose-ros models export``: a checkpoint becomes an ONNX file, or an 8-bit one, and says what that cost."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros import folders
from pose_ros.cli import console
from pose_ros.errors import ConfigError, ModelError, PoseRosError

if TYPE_CHECKING:
    from pose_ros.cli.trial import Trial
    from pose_ros.models.card import ModelCard
    from pose_ros.models.store import Store
    from pose_ros.runtime.session import Session

TEXT = "Turn a checkpoint into an ONNX file, or a network into an 8-bit one."
_EPILOG = """\
examples:
  pose-ros models export vitpose-s                        writes vitpose-s-onnx.onnx and its card; use it by that name
  pose-ros models export vitpose-s --precision float16    half the size
  pose-ros models export vitpose-s --int8 --images FOLDER    a quarter of the size: vitpose-s-int8
  pose-ros models export yolox-nano+rtmpose-m --int8 --images FOLDER    subjects in the images by another detector

The file and its card are written into the folder of your own models, or where --output says. A file whose outputs are
not those of the checkpoint is not kept. Every second image of FOLDER gives the 8-bit version its ranges, the others
measure what it cost. With COCO's keypoints beside the images (person_keypoints*.json in FOLDER, or those of FOLDER in
../annotations) people are where they are annotated, and average precision is measured too.

"""
#: Of the network's arithmetic -> how far outputs may be from those of the checkpoint, relative to the largest.
_TOLERANCE = {"float32": 1e-4, "float16": 2e-2}
#: An 8-bit version whose poses (OKS) or boxes (IoU) are less alike than this is broken, not merely less accurate.
_LEAST_ALIKE = 0.5
#: Free space that is asked for, in sizes of the network's file: its copies exist side by side for a while.
_COPIES = 4
#: Larger ones do not fit into one file, which quantisation needs.
_MOST_INT8_BYTES = 2**31 - 2**24


def add(parser: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the arguments to the parser of the action."""
    parser.epilog = _EPILOG + exit_codes
    parser.add_argument("name", metavar="[DETECTOR+]NAME", help="model, see `pose-ros models list`")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write the .onnx file here")
    parser.add_argument("--precision", choices=tuple(_TOLERANCE), default="float32",
                        help="of the network's arithmetic (default: %(default)s)")
    parser.add_argument("--exporter", choices=("trace", "dynamo"), default="trace",
                        help="PyTorch's older, fast exporter, or the newer one (default: %(default)s)")
    parser.add_argument("--int8", action="store_true", help="compute in 8 bits; needs --images")
    parser.add_argument("--images", metavar="FOLDER", type=Path,
                        help="images such as the model will see: for --int8, and to compare outputs on")
    parser.add_argument("--annotations", metavar="FILE", type=Path, help="keypoints of the images in COCO's format")
    parser.add_argument("--max-images", metavar="N", type=int, default=200,
                        help="use no more images than this (default: %(default)s)")


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    from pose_ros.models.store import Store

    store = Store()
    detector, card = _cards(args.name, store)
    _check(args, card)
    for package in ("onnx", "onnxruntime", *(("torch",) if card.network else ())):
        importlib.import_module(package)
    name = f"{card.name}-{'int8' if args.int8 else 'onnx' if args.precision == 'float32' else args.precision}"
    target = args.output or folders.config() / "models" / f"{name}.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    from pose_ros.cli.fetching import fetch

    source = fetch(store, card)
    _check_space(card, source, target.parent)
    trial = _trial(args, card, detector, store) if args.images else None
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        report: dict[str, Any] = {"model": name, "file": str(target)}
        made = source
        if card.network:
            made = Path(folder) / target.name
            report["difference"] = _convert(args, card, source, made, trial)
        if args.int8:
            assert trial is not None
            made = _shrink(card, made, Path(folder) / f"int8-{target.name}", trial, report)
        report["MB"] = {"before": source.stat().st_size / 1e6, "after": _size(made) / 1e6}
        for path in (made, _weights(made)):
            if path.exists():
                os.replace(path, target if path == made else _weights(target))
    report["card"] = str(_write_card(card, name, target, args))
    _show(report, args.json)
    return 0


def _cards(spec: str, store: Store) -> tuple[ModelCard | None, ModelCard]:
    from pose_ros.wiring import parse_model

    if "+" not in spec and store.card(spec).kind != "estimator":
        return None, store.card(spec)
    return parse_model(spec, store)


def _check(args: argparse.Namespace, card: ModelCard) -> None:
    """Refuse what does not fit together before anything is fetched.

    Raises:
        ConfigError: With what would fit.
    """
    suffix = card.file.suffix
    if not card.network and suffix != ".onnx":
        raise ConfigError("models export", f"expected a checkpoint or an .onnx file, '{card.name}' is a {suffix} file")
    if not card.network and not args.int8:
        raise ConfigError("models export", f"'{card.name}' is an .onnx file already; an 8-bit version of it is made "
                                           "with --int8 --images FOLDER")
    if args.int8 and args.images is None:
        raise ConfigError("--int8", "expected --images FOLDER with images such as the model will see")
    if args.int8 and args.precision != "float32":
        raise ConfigError("--int8", f"expected no other precision, got --precision {args.precision}")
    if args.images is not None and card.kind in ("lifter", "recogniser"):
        raise ConfigError("--images", f"expected none, as '{card.name}' sees keypoints in place of images")
    if args.output is not None and args.output.suffix != ".onnx":
        raise ConfigError("--output", f"expected a file that ends with .onnx, got {args.output}")
    if args.max_images < 2:
        raise ConfigError("--max-images", f"expected 2 or more, got {args.max_images}")


def _check_space(card: ModelCard, source: Path, folder: Path) -> None:
    needed, free = _COPIES * source.stat().st_size, shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(card.name, f"expected {needed / 1e6:.0f} MB free in {folder} to work in, got "
                                    f"{free / 1e6:.0f} MB; free some space, or name a file elsewhere with --output")


def _trial(args: argparse.Namespace, card: ModelCard, detector: ModelCard | None, store: Store) -> Trial:
    from pose_ros import registry
    from pose_ros.cli.fetching import fetch
    from pose_ros.cli.trial import Trial
    from pose_ros.detectors.base import Detector
    from pose_ros.plugin import Model

    finder: Detector | None = None
    if detector is not None:
        made = registry.load("detectors", detector.plugin)(Model(detector, _open(detector, fetch(store, detector))))
        assert isinstance(made, Detector)
        finder = made
    return Trial(card, args.images, finder, args.annotations, args.max_images)


def _open(card: ModelCard, path: Path, runtime: str = "auto") -> Session:
    from pose_ros.runtime import open_session

    network = card.network if path.suffix != ".onnx" else {}
    return open_session(
        path, device="cpu", runtime=runtime, outputs=card.outputs, network=network, input_wh=card.input_wh
    )


def _convert(args: argparse.Namespace, card: ModelCard, source: Path, made: Path, trial: Trial | None) -> float:
    """Write a checkpoint as ONNX; return by how much outputs differ, relative to the largest value of each.

    Raises:
        ModelError: It cannot be exported, or the file's outputs are not those of the checkpoint.
    """
    from pose_ros.cli import measure
    from pose_ros.networks.export import convert
    from pose_ros.runtime.batched import one_line

    console.note(f"{card.name}: exporting")
    try:
        any_size = convert(source, card.network, card.input_wh, made, args.precision, args.exporter)
    except (PoseRosError, OSError):
        raise
    except Exception as error:  # an exporter may raise anything
        raise ModelError(card.name, f"PyTorch cannot export it with --exporter {args.exporter}: {one_line(error)}"
                         ) from error
    file = _open(card, made, "onnxruntime")
    batches = measure.noise(card, any_size, file.inputs[0].shape[1:])
    if trial is not None:
        batches += measure.real(trial.inputs(file, trial.judge[: max(measure.BATCHES)]))
    checkpoint = _open(card, source, "torch")
    console.note(f"{card.name}: comparing the outputs of the file and of the checkpoint")
    worst = max(measure.difference(checkpoint.run(batch), file.run(batch)) for batch in batches)
    if not worst <= _TOLERANCE[args.precision]:
        raise ModelError(
            card.name, f"expected an .onnx file with outputs that differ by {_TOLERANCE[args.precision]:g} of their "
                       f"largest value at most, got {worst:.2g}; the file is not kept. Try --exporter dynamo"
        )
    return worst


def _shrink(card: ModelCard, before: Path, after: Path, trial: Trial, report: dict[str, Any]) -> Path:
    """Write the 8-bit version of a file, and measure both.

    Raises:
        ModelError: It cannot be made, or its answers are other ones.
    """
    from pose_ros.cli import measure
    from pose_ros.networks.quantise import quantise
    from pose_ros.runtime.batched import one_line

    if _size(before) > _MOST_INT8_BYTES:
        raise ModelError(card.name, f"expected a network of less than 2 GB for --int8, got {_size(before) / 1e9:.1f} "
                                    "GB; --precision float16 halves it")
    session = _open(card, before)
    inputs = trial.inputs(session, trial.learn)
    console.note(f"{card.name}: finding the ranges of its values in {len(trial.learn)} images")
    try:
        quantise(before, after, inputs)
    except (ImportError, OSError):
        raise
    except Exception as error:  # the library may raise anything
        raise ModelError(card.name, f"onnxruntime cannot make an 8-bit version of it: {one_line(error)}") from error
    small = _open(card, after)
    answers = [trial.answers(s, trial.judge) for s in (session, small)]
    compared = trial.compare(*answers)
    alike = compared.get("OKS", compared.get("IoU"))
    if alike is None or not alike >= _LEAST_ALIKE:
        what = f"{alike:.2f}" if alike is not None else "no subjects to compare"
        raise ModelError(card.name, f"expected an 8-bit version whose answers are at least {_LEAST_ALIKE} like those "
                                    f"of the network, got {what}; it is not kept")
    report["images"] = {"to learn from": len(trial.learn), "to judge by": len(trial.judge)}
    report["int8 against float32"] = compared
    precision = [trial.accuracy(a, trial.judge) for a in answers] if trial.truth is not None else [None]
    if precision[0] is not None:
        report["AP with true boxes" if trial.told else "AP"] = _before_after(precision)
    report["ms for one subject"] = _before_after([measure.milliseconds(s, inputs[0][:1]) for s in (session, small)])
    report["runtime"] = small.runtime
    return after


def _before_after(values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(("before", "after"), values, strict=True))


def _weights(path: Path) -> Path:
    """Return where weights lie that do not fit into an .onnx file."""
    return path.with_name(f"{path.name}.data")


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in (path, _weights(path)) if p.exists())


def _write_card(card: ModelCard, name: str, target: Path, args: argparse.Namespace) -> Path:
    """Write the card of the new file into the folder of the user's own models."""
    import yaml

    from pose_ros.models.files import sha256

    place = folders.config() / "models" / f"{name}.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    kind = "In 8 bits" if args.int8 else f"As ONNX in {args.precision}"
    file = os.path.relpath(target, place.parent) if target.parent.resolve() == place.parent.resolve() else str(
        target.resolve())
    changed = {
        "summary": f"{card.summary.replace(', as a checkpoint', '')} {kind}.",
        "file": {"path": file, "sha256": sha256(target), "size": target.stat().st_size},
        "network": {},
        # Published figures are those of the network as it was.
        "accuracy": () if args.int8 else tuple(one.plain() for one in card.accuracy),
    }
    plain = {f.name: f.default for f in dataclasses.fields(card)}
    data = {**dataclasses.asdict(card), **changed}
    kept = {key: value for key, value in data.items()
            if key not in ("name", "folder") and value not in ({}, (), "", 0) and value != plain[key]}  # fmt: skip
    text = yaml.safe_dump(_lists(kept), sort_keys=False, allow_unicode=True, width=120)
    place.write_text(f"# Made of '{card.name}' by `pose-ros models export`.\n{text}", encoding="utf-8")
    return place


def _lists(data: Any) -> Any:
    """Return data with lists for tuples, and without what is empty below the top."""
    if isinstance(data, dict):
        return {key: _lists(value) for key, value in data.items() if value != ""}
    return [_lists(value) for value in data] if isinstance(data, (list, tuple)) else data


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.show_json(report)
        return
    rows = [[key, ", ".join(f"{k} {_text(v)}" for k, v in value.items()) if isinstance(value, dict) else _text(value)]
            for key, value in report.items()]  # fmt: skip
    console.show(console.Table(["key", "value"], rows))


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
