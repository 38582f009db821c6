# SPDX-License-Identifier: Apache-2.0
"""``pose-ros models import``: networks of DeepLabCut and SLEAP, each by one card."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

from pose_ros import folders
from pose_ros.cli import console
from pose_ros.core import documents, json_text
from pose_ros.errors import ConfigError

TEXT = """\
Write the card of a network that DeepLabCut or SLEAP has trained, so that it runs by its name.
"""
EPILOG = """\
examples:
  pose-ros models import exported.pt --config config.yaml            what DeepLabCut 3 has exported; its project's edges
  pose-ros models import snapshot-200.pt --config pytorch_config.yaml --config config.yaml
  pose-ros models import dlc2.onnx --config config.yaml              of DeepLabCut 2, converted by tf2onnx
  pose-ros models import model.onnx --config training_config.json --size 1024x1024      of SLEAP, converted by tf2onnx
  pose-ros models import model.onnx --config export_metadata.json --size 1024x1024      what sleap-nn has exported

The weights stay where they are; the card names them. docs/labs.md tells it step by step.

"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("weights", metavar="FILE", type=Path, help="the network: .pt of DeepLabCut 3, or .onnx")
    parser.add_argument("--config", metavar="FILE", type=Path, action="append", default=[],
                        help="what its training or export has written about it; may be given twice")
    parser.add_argument("--name", help="how to call it (default: the file's name)")
    parser.add_argument("--size", metavar="WxH", help="width and height of the images it was trained with")
    parser.add_argument("--detector", metavar="NAME", default="",
                        help="model that finds the subjects, for a network that sees one in a crop")
    parser.add_argument("--output", metavar="FOLDER", type=Path,
                        help="write the card here (default: the folder of your own models)")


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    import yaml

    from pose_ros.models import cards

    weights = args.weights.resolve()
    if not weights.is_file():
        raise ConfigError("models import", f"expected a file at {args.weights}, found none")
    name = args.name or re.sub(r"[^a-z0-9._-]+", "-", weights.stem.lower()).strip("-._")
    folder = args.output or folders.config() / "models"
    place = folder / f"{name}.yaml"
    if place.exists():
        raise ConfigError("--name", f"expected a name that is not taken, got '{name}': {place} exists")
    card = _card(weights, args)
    if args.detector:
        card["detector"] = args.detector
    what = "Finds subjects" if card["kind"] == "detector" else f"{len(card['skeleton']['keypoints'])} points"
    card = {
        "kind": card.pop("kind"), "plugin": card.pop("plugin"), "summary": f"{what}, from {weights.name}.",
        "file": {"path": os.path.relpath(weights, folder.resolve()) if args.output else str(weights)},
        "licence": {"weights": "our own"}, **card,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    place.write_text(f"# Made of {weights.name} by `pose-ros models import`.\n{text}", encoding="utf-8")
    try:
        made = cards.read(place, name)
    except Exception:
        place.unlink()
        raise
    report = {"model": name, "card": str(place), "plugin": made.plugin, "input": "x".join(map(str, made.input_wh)),
              "keypoints": len(card.get("skeleton", {}).get("keypoints", ())), "use": _use(made, args)}  # fmt: skip
    if args.json:
        console.show_json(report)
    else:
        console.show(console.Table(["key", "value"], [[key, str(value)] for key, value in report.items()]))
    return 0


def _use(card: Any, args: argparse.Namespace) -> str:
    path = f"POSE_ROS_MODEL_PATH={args.output} " if args.output else ""
    needs = card.kind == "estimator" and card.plugin in ("centered-instance", "simcc") and not card.detector
    model = f"DETECTOR+{card.name}" if needs else f"{card.name}+ESTIMATOR" if card.kind == "detector" else card.name
    return f"{path}pose-ros run --model {model} IMAGE"


def _card(weights: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return the card without what does not depend on the kind of network.

    Raises:
        ConfigError: The files do not say what is needed.
    """
    from pose_ros.cli import labs

    found: dict[str, Any] = {}
    for path in args.config:
        config = _read(path)
        kind = labs.kind_of(config)
        if not kind:
            raise ConfigError("--config", f"expected a config.yaml or pytorch_config.yaml of DeepLabCut, or a "
                                          f"training_config.json or export_metadata.json of SLEAP, got {path}")
        found[kind] = config
    size = None
    if args.size:
        match = re.fullmatch(r"(\d+)x(\d+)", args.size)
        if not match:
            raise ConfigError("--size", f"expected WIDTHxHEIGHT such as 640x480, got '{args.size}'")
        size = int(match[1]), int(match[2])
    project = found.get("project", {})
    if weights.suffix == ".onnx":
        if "sleap-nn" in found:
            return labs.sleap_nn(found["sleap-nn"], size)
        if "sleap" in found:
            return labs.sleap(found["sleap"], _network(weights), size)
        if project:
            return labs.deeplabcut2(project, _network(weights), size)
        raise ConfigError("--config", "expected what the training has written, such as training_config.json, got none")
    if "deeplabcut" not in found:
        from pose_ros import formats
        from pose_ros.networks import checkpoint

        formats.check(weights)
        content = checkpoint.content(weights)
        config = content.get("config") if isinstance(content, dict) else None
        if not isinstance(config, dict) or labs.kind_of(config) != "deeplabcut":
            raise ConfigError("--config", f"expected the pytorch_config.yaml of the training, as {weights.name} does "
                                          "not hold it; it stands in the folder 'train' of the network")
        found["deeplabcut"] = config
    return labs.deeplabcut(found["deeplabcut"], project, size)


def _read(path: Path) -> Any:
    import yaml

    try:
        is_json = path.suffix == ".json"
        data = json_text.read(path) if is_json else documents.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError("--config", f"cannot read {path}: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError("--config", f"expected a mapping in {path}, got {type(data).__name__}")
    return data


def _network(path: Path) -> Any:
    from pose_ros.cli.labs import Network
    from pose_ros.runtime import open_session

    session = open_session(path, name=path.name, device="cpu")
    return Network(tuple(t.name for t in session.outputs), session.inputs[0].shape[1:])
