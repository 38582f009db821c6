# SPDX-License-Identifier: Apache-2.0
"""What the files of DeepLabCut and SLEAP say of a network, as a model card. Nothing in a file is ever run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pose_ros.errors import ConfigError

Card = dict[str, Any]
Config = Mapping[str, Any]
#: Width and height.
Size = tuple[int, int]

_IMAGENET = {"color": "rgb", "layout": "nchw", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
#: What may tell a side in the name of a body part; it does where the other side has such a name too.
_SIDE = re.compile(r"(?i:left|right)|(?<![A-Za-z])[lr](?![A-Za-z])|[LR]")
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}
#: Heads of SLEAP's models -> what the names of their outputs contain.
_SLEAP = {
    "single_instance": ("SingleInstanceConfmaps",),
    "centroid": ("CentroidConfmaps",),
    "centered_instance": ("CenteredInstanceConfmaps",),
    "multi_instance": ("MultiInstanceConfmaps", "PartAffinityFields"),
}


class Network(NamedTuple):
    """What is known of an ONNX file."""

    #: Names.
    outputs: tuple[str, ...]
    #: Of the image, without the batch.
    shape: tuple[int, ...]

    @property
    def preprocess(self) -> Card:
        """Layout and colours of the image."""
        nhwc = self.shape[-1] in (1, 3)
        channels = self.shape[-1 if nhwc else 0]
        return {"color": "gray" if channels == 1 else "rgb", "layout": "nhwc" if nhwc else "nchw"}


def skeleton(keypoints: Sequence[str], edges: Sequence[Sequence[str]] = ()) -> Card:
    """Return a skeleton as a card holds it; left and right are read from the names."""
    pairs: list[list[str]] = []
    for name in keypoints:
        others = (name[: m.start()] + _swap(m[0]) + name[m.end() :] for m in _SIDE.finditer(name))
        other = next((other for other in others if other in keypoints), name)
        if other != name and [other, name] not in pairs:
            pairs.append([name, other])
    made: Card = {"keypoints": list(keypoints), "edges": [list(edge) for edge in edges], "flip_pairs": pairs}
    return {key: value for key, value in made.items() if value}


def _swap(word: str) -> str:
    other = _OTHER[word.lower()]
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def kind_of(config: Config) -> str:
    """Return what a configuration is: ``project``, ``deeplabcut``, ``sleap``, ``sleap-nn``, or nothing."""
    known: dict[str, Callable[[], object]] = {
        "sleap-nn": lambda: "node_names" in config and "model_type" in config,
        "sleap": lambda: "heads" in config.get("model", {}) and "labels" in config.get("data", {}),
        "deeplabcut": lambda: "heads" in config.get("model", {}) and "bodyparts" in config.get("metadata", {}),
        "project": lambda: "bodyparts" in config and "Task" in config,
    }
    return next((name for name, fits in known.items() if fits()), "")


def body_parts(project: Config) -> list[str]:
    """Return the body parts of a DeepLabCut project's config.yaml."""
    several = project.get("multianimalproject")
    return list(project["multianimalbodyparts"] if several else project["bodyparts"])


def video_size(project: Config) -> Size | None:
    """Return the size of a DeepLabCut project's videos, where it says that of one."""
    for video in (project.get("video_sets") or {}).values():
        left, right, top, bottom = (int(word) for word in str(video["crop"]).split(","))
        return right - left, bottom - top
    return None


def deeplabcut(config: Config, project: Config, size: Size | None) -> Card:
    """Return the card of a DeepLabCut 3 network, without its file.

    Args:
        config: ``pytorch_config.yaml``, or the same inside an exported file.
        project: ``config.yaml``, or nothing.
        size: Of the images it was trained with; not needed for crops.

    Raises:
        ConfigError: It is a kind of network that is not known here.
    """
    model, name = config["model"], "config"
    heads, backbone = model["heads"], model["backbone"]
    head = heads.get("bodypart", {})
    parts = config["metadata"]["bodyparts"]
    if set(heads) != {"bodypart"} or head.get("type") not in ("HeatmapHead", "RTMCCHead"):
        found = ", ".join(f"{key} ({value.get('type')})" for key, value in heads.items())
        raise ConfigError(name, f"expected one head, a HeatmapHead or RTMCCHead, got {found}: networks for several "
                                "animals at once are not known; train a top-down one")
    if backbone.get("interpolate_branches") or backbone.get("increased_channel_count"):
        raise ConfigError(name, "expected a HRNet's finest maps alone, got interpolate_branches or "
                                "increased_channel_count")
    inference = config["data"].get("inference") or {}
    crops = config.get("method", "bu").lower() == "td"
    crop = inference.get("top_down_crop") or {"width": 256, "height": 256}
    card: Card = {
        "kind": "estimator",
        "input_wh": [crop["width"], crop["height"]] if crops else list(_needed(size or video_size(project))),
        "preprocess": {**_IMAGENET, "color": str(config["data"].get("colormode", "RGB")).lower()},
        "skeleton": skeleton(parts, project.get("skeleton") or ()),
    }
    if not inference.get("normalize_images", True):
        card["preprocess"] = {key: card["preprocess"][key] for key in ("color", "layout")}
    if head["type"] == "RTMCCHead":
        sizes = {0.375: "t", 0.5: "s", 0.75: "m", 1.0: "l", 1.25: "x"}
        return card | {
            "plugin": "simcc",
            "network": {"architecture": "rtmpose", "size": sizes[backbone["widen_factor"]], "keypoints": len(parts)},
            "outputs": ["simcc_x", "simcc_y"],
            "params": {"padding": 1.0, "align": "resized", "score": "visibility",
                       "sigma": float(head["predictor"]["sigma"][0])},
        }
    maps, predictor = head["heatmap_config"], head["predictor"]
    deconv = list(maps["kernel_size"]) == [3] and list(maps["strides"]) == [2]
    if not deconv and [*maps["kernel_size"], *maps["strides"]] not in ([], [1, 1]):
        raise ConfigError(name, "expected a heatmap_config with one layer of kernel 3 and stride 2, or a 1x1 layer, "
                                f"got kernel_size {maps['kernel_size']}, strides {maps['strides']}")
    stride = 4 if backbone["type"] == "HRNet" else backbone["output_stride"]
    offsets = bool(head.get("locref_config")) and predictor["location_refinement"]
    network = {"architecture": "deeplabcut", "backbone": backbone["model_name"], "keypoints": len(parts),
               "head": "deconv" if deconv else "conv", "offsets": bool(head.get("locref_config"))}  # fmt: skip
    if backbone["type"] == "ResNet":
        network["stride"] = stride
    params = {"align": "resized", "stride": stride / (2 if deconv else 1)}
    if offsets:
        params["offset_px"] = predictor["locref_std"]
    if predictor.get("apply_sigmoid"):
        params["logits"] = True
    return card | {
        "plugin": "centered-instance" if crops else "single-instance",
        "network": network,
        "outputs": ["heatmaps", "offsets"] if offsets else ["heatmaps"],
        "params": params,
    }


def deeplabcut2(project: Config, network: Network, size: Size | None) -> Card:
    """Return the card of a network of DeepLabCut's TensorFlow engine that was converted to ONNX, without its file.

    Raises:
        ConfigError: It does not say how large its images are, or has other outputs.
    """
    maps, offsets = (tuple(n for n in network.outputs if word in n) for word in ("part_pred", "locref_pred"))
    if len(maps) != 1 or len(offsets) > 1:
        raise ConfigError("outputs", "expected one with 'part_pred' in its name and at most one with 'locref_pred', as "
                                     f"DeepLabCut calls them, got {', '.join(network.outputs)}")
    return {
        "kind": "estimator",
        "plugin": "single-instance",
        "input_wh": list(_needed(size or video_size(project))),
        "preprocess": network.preprocess,
        "skeleton": skeleton(body_parts(project), project.get("skeleton") or ()),
        "outputs": [*maps, *offsets],
        "params": {"align": "resized", "stride": 8, "logits": True},
    }


def sleap(config: Config, network: Network, size: Size | None) -> Card:
    """Return the card of a network of SLEAP that was converted to ONNX, without its file.

    Args:
        config: ``training_config.json``.
        network: The ONNX file.
        size: Of the images it was trained with.

    Raises:
        ConfigError: It is a kind of network that is not known here.
    """
    data, heads = config["data"], {key: head for key, head in config["model"]["heads"].items() if head}
    (kind, head), scaling = next(iter(heads.items())), data["preprocessing"]["input_scaling"]
    if kind not in _SLEAP:
        raise ConfigError("config", f"expected a model of {', '.join(_SLEAP)}, got {kind}")
    outputs = [next((name for name in network.outputs if word in name), word) for word in _SLEAP[kind]]
    if not {*outputs} <= {*network.outputs}:
        raise ConfigError("outputs", f"expected names with {' and '.join(_SLEAP[kind])}, got "
                                     f"{', '.join(network.outputs)}")
    multiple = max(_found(config["model"]["backbone"], "max_stride"), default=32)
    card: Card = {"kind": "estimator", "preprocess": {**network.preprocess, "std": [255, 255, 255]}, "outputs": outputs}
    maps = head.get("confmaps", head)
    params: Card = {"stride": maps["output_stride"], "middle": 0}
    names, edges = _sleap_skeleton(data["labels"]["skeletons"][0], maps.get("part_names"))
    whole = [round(side * scaling) for side in _needed(size)] if kind != "centered_instance" else []
    if kind == "centroid":
        box = {"box": data["instance_cropping"]["crop_size"]} if data["instance_cropping"]["crop_size"] else {}
        return card | {"kind": "detector", "plugin": "centroid", "input_wh": whole,
                       "params": params | box | {"multiple": multiple}}
    card["skeleton"] = skeleton(names, edges)
    if kind == "centered_instance":
        if scaling != 1:
            raise ConfigError("config", f"expected a centered-instance model without input_scaling, got {scaling}")
        return card | {"plugin": "centered-instance", "input_wh": [data["instance_cropping"]["crop_size"]] * 2,
                       "params": params | {"refine": "integral"}}
    if kind == "single_instance":
        return card | {"plugin": "single-instance", "input_wh": whole,
                       "params": params | {"refine": "integral", "multiple": multiple}}
    limbs = [[names.index(end) for end in edge] for edge in head["pafs"]["edges"]]
    return card | {
        "plugin": "paf",
        "input_wh": whole,
        "params": {
            "rule": "sleap",
            "limbs": " ".join(f"{a}-{b}" for a, b in limbs),
            "channels": " ".join(f"{2 * i},{2 * i + 1}" for i in range(len(limbs))),
            "upsample": 1,
            "multiple": multiple,
            "fit": "centre",
            # Its maps begin on the first pixel of the image.
            "offset": (1 - maps["output_stride"]) / 2,
            "peak_threshold": 0.2,
            "limb_fraction": 0.6,
            "min_keypoints": 2,
        },
    }


def sleap_nn(config: Config, size: Size | None) -> Card:
    """Return the card of an ONNX file that sleap-nn has exported, without its file.

    Args:
        config: ``export_metadata.json``.
        size: Of the images it was trained with.

    Raises:
        ConfigError: It is a kind of network that is not known here.
    """
    kind, names = config["model_type"], config["node_names"]
    kinds = {"single_instance": "single-instance", "centered_instance": "centered-instance", "centroid": "centroid"}
    if kind not in kinds:
        raise ConfigError("config", f"expected an export of one of {', '.join(kinds)}, got {kind}: export the two "
                                    "networks of a top-down model one by one")
    crop = list(config["crop_size"] or ())[::-1]
    card: Card = {
        "kind": "estimator",
        "plugin": kinds[kind],
        "input_wh": crop if kind == "centered_instance" else list(_needed(size)),
        # The file itself divides by 255.
        "preprocess": {"color": "gray" if config["input_channels"] == 1 else "rgb", "layout": "nchw",
                       "dtype": config["input_dtype"]},
    }
    if kind == "centroid":
        return card | {"kind": "detector", "outputs": ["centroids", "centroid_vals", "instance_valid"],
                       "params": {"box": max(crop)} if crop else {}}
    edges = [[names[a], names[b]] for a, b in config["edge_inds"]]
    return card | {"skeleton": skeleton(names, edges), "outputs": ["peaks", "peak_vals"]}


def _needed(size: Size | None) -> Size:
    """Return the size.

    Raises:
        ConfigError: Nobody said it.
    """
    if size is None:
        raise ConfigError("--size", "expected WIDTHxHEIGHT of the images that the network was trained with, such as "
                                    "--size 1280x1024; these files do not say it")
    return size


def _found(data: Any, key: str) -> Iterator[int]:
    if isinstance(data, Mapping):
        if isinstance(data.get(key), int):
            yield data[key]
        for value in data.values():
            yield from _found(value, key)


def _sleap_skeleton(data: Config, parts: Sequence[str] | None) -> tuple[list[str], list[list[str]]]:
    """Return nodes and edges of what jsonpickle made of SLEAP's skeleton: what was written before is a number."""
    seen: list[str] = []

    def node(value: Any) -> str:
        if "py/id" in value:
            return seen[value["py/id"] - 1]
        seen.append(value["py/state"]["py/tuple"][0])
        return seen[-1]

    edges = [[node(link["source"]), node(link["target"])] for link in data["links"]]
    names = list(parts) if parts else [node(entry["id"]) for entry in data["nodes"]]
    return names, edges
