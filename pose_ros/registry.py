# SPDX-License-Identifier: Apache-2.0
"""Plugins by name: a built-in table and entry points, loaded only when asked for.

Third parties add plugins in their own packages::

    [project.entry-points."pose_ros.estimators"]
    my_net = "my_package.my_net:MyNet"
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from importlib import metadata
from typing import TypeVar

from pose_ros.errors import PluginError, UnknownNameError
from pose_ros.plugin import API_VERSION, NetworkPlugin, Plugin

log = logging.getLogger(__name__)
T = TypeVar("T", bound=Plugin)

#: Kind -> name -> "module:Class". The kind is the folder, the entry-point group and the YAML key.
BUILTIN: Mapping[str, Mapping[str, str]] = {
    "detectors": {
        "centroid": "pose_ros.detectors.centroid:CentroidDetector",
        "end2end": "pose_ros.detectors.end2end:End2EndDetector",
        "nanodet": "pose_ros.detectors.nanodet:NanoDetDetector",
        "rtmdet": "pose_ros.detectors.rtmdet:RtmDetDetector",
        "ssd": "pose_ros.detectors.ssd:SsdDetector",
        "ultraface": "pose_ros.detectors.ultraface:UltraFaceDetector",
        "yolox": "pose_ros.detectors.yolox:YoloxDetector",
        "yunet": "pose_ros.detectors.yunet:YuNetDetector",
    },
    "estimators": {
        "blazepose": "pose_ros.estimators.blazepose:BlazePose",
        "centered-instance": "pose_ros.estimators.instance:CenteredInstance",
        "single-instance": "pose_ros.estimators.instance:SingleInstance",
        "embedding": "pose_ros.estimators.embedding:EmbeddingEstimator",
        "hamer": "pose_ros.estimators.hamer:Hamer",
        "ert": "pose_ros.estimators.ert:Ert",
        "fan": "pose_ros.estimators.fan:Fan",
        "heatmap": "pose_ros.estimators.heatmap:HeatmapEstimator",
        "paf": "pose_ros.estimators.paf:PafEstimator",
        "recrop": "pose_ros.estimators.recrop:Recrop",
        "regression": "pose_ros.estimators.regression:RegressionEstimator",
        "rtmo": "pose_ros.estimators.rtmo:Rtmo",
        "simcc": "pose_ros.estimators.simcc:SimccEstimator",
        "landmarks": "pose_ros.estimators.landmarks:Landmarks",
        "movenet": "pose_ros.estimators.movenet:MoveNet",
        "movenet-multipose": "pose_ros.estimators.movenet:MoveNetMultiPose",
    },
    "lifters": {
        "sequence": "pose_ros.lifters.sequence:SequenceLifter",
    },
    "recognisers": {
        "gesture": "pose_ros.recognisers.gesture:Gesture",
        "posec3d": "pose_ros.recognisers.heatmaps:Heatmaps",
        "stgcn": "pose_ros.recognisers.graph:Graph",
    },
    "rules": {
        "gait": "pose_ros.recognisers.gait:Gait",
        "hand_shape": "pose_ros.recognisers.hand_shape:HandShape",
        "pointing": "pose_ros.recognisers.pointing:Pointing",
        "posture": "pose_ros.recognisers.posture:Posture",
        "raised": "pose_ros.recognisers.raised:Raised",
        "repetitions": "pose_ros.recognisers.repetitions:Repetitions",
        "swipe": "pose_ros.recognisers.swipe:Swipe",
        "waving": "pose_ros.recognisers.waving:Waving",
    },
}


def targets(kind: str) -> dict[str, str]:
    """Return name -> "module:Class" of all plugins of a kind; built-ins win over third parties."""
    if kind not in BUILTIN:
        raise UnknownNameError("plugin kind", kind, BUILTIN)
    found = {e.name: e.value for e in metadata.entry_points(group=f"pose_ros.{kind}")}
    for name in found.keys() & BUILTIN[kind].keys():
        log.warning("plugin '%s' of %s is built in; the one from %s is not used", name, kind, found[name])
    return {**found, **BUILTIN[kind]}


def load(kind: str, name: str) -> type[NetworkPlugin]:
    """Import one plugin class of those that run a network.

    Raises:
        UnknownNameError: No plugin has that name.
        PluginError: It exists, but cannot be imported or was written for another contract.
    """
    return _load(kind, name, NetworkPlugin)


def load_rule(name: str) -> type[Plugin]:
    """Import one of the plugins that need no network; raises as :func:`load` does."""
    return _load("rules", name, Plugin)


def _load(kind: str, name: str, base: type[T]) -> type[T]:
    known = targets(kind)
    if name not in known:
        raise UnknownNameError(f"plugin of {kind}", name, known)
    module, _, attribute = known[name].partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise PluginError(name, f"cannot load {known[name]}: {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PluginError(name, f"expected a subclass of {base.__name__} at {known[name]}, got {found!r}")
    if found.api_version != API_VERSION:
        raise PluginError(name, f"written for plugin contract {found.api_version}, this is {API_VERSION}")
    return found
