# SPDX-License-Identifier: Apache-2.0
"""Architectures by name: a built-in table and entry points, loaded only when asked for.

Third parties add architectures in their own packages::

    [project.entry-points."pose_ros.networks"]
    my_net = "my_package.my_net:MyNet"
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pose_ros.errors import ConfigError, PluginError, PoseRosError, UnknownNameError

if TYPE_CHECKING:
    from pose_ros.networks.network import Network

#: Annotations that are checked, as they are written.
_TYPES = {"int": int, "str": str, "bool": bool}
#: Name -> "module:Class".
ARCHITECTURES: Mapping[str, str] = {
    "lightweight_openpose": "pose_ros.networks.lightweight_openpose:LightweightOpenPose",
    "openpose": "pose_ros.networks.openpose:OpenPose",
    "openpose_body25": "pose_ros.networks.openpose:OpenPoseBody25",
    "openpose_part": "pose_ros.networks.openpose:OpenPosePart",
    "yolox": "pose_ros.networks.yolox:Yolox",
    "rtmo": "pose_ros.networks.rtmo:Rtmo",
    "rtmdet": "pose_ros.networks.rtmdet:RtmDet",
    "rtmpose": "pose_ros.networks.rtmpose:RtmPose",
    "rtmw": "pose_ros.networks.rtmw:Rtmw",
    "simcc": "pose_ros.networks.simcc:SimCC",
    "hamer": "pose_ros.networks.hamer:Hamer",
    "higherhrnet": "pose_ros.networks.higherhrnet:HigherHRNet",
    "hrnet": "pose_ros.networks.hrnet:PoseHRNet",
    "vitpose": "pose_ros.networks.vitpose:ViTPose",
    "corner_hourglass": "pose_ros.networks.corner_hourglass:CornerHourglass",
    "deeplabcut": "pose_ros.networks.deeplabcut:DeepLabCut",
    "deeppose": "pose_ros.networks.deeppose:DeepPose",
    "face_alignment": "pose_ros.networks.fan:FaceAlignment",
    "face_depth": "pose_ros.networks.fan:FaceDepth",
    "hourglass": "pose_ros.networks.hourglass:StackedHourglass",
    "integral": "pose_ros.networks.integral:IntegralRegression",
    "martinez": "pose_ros.networks.martinez:Martinez",
    "motionbert": "pose_ros.networks.motionbert:MotionBert",
    "posec3d": "pose_ros.networks.posec3d:PoseC3d",
    "stgcn": "pose_ros.networks.stgcn:StGcn",
    "simplebaseline": "pose_ros.networks.simplebaseline:SimpleBaseline",
    "videopose3d": "pose_ros.networks.videopose3d:VideoPose3D",
}


def known() -> dict[str, str]:
    """Return name -> "module:Class" of all architectures; built-ins win over third parties. Nothing is imported."""
    return {**{e.name: e.value for e in metadata.entry_points(group="pose_ros.networks")}, **ARCHITECTURES}


def build(description: Mapping[str, Any], input_wh: tuple[int, int] | None = None) -> Network:
    """Build a network with random weights, in evaluation mode.

    Args:
        description: A card's ``network``: ``architecture`` and arguments of its constructor.
        input_wh: The card's; handed to a constructor that takes ``input_wh``, unless the description has one.

    Raises:
        UnknownNameError: There is no such architecture.
        ConfigError: It takes other arguments, or nothing can be built from them; the message lists them.
        PluginError: Its module cannot be imported; where PyTorch is missing, the message says how to get it.
    """
    arguments = dict(description)
    name = arguments.pop("architecture")
    targets = known()
    if name not in targets:
        raise UnknownNameError("architecture", name, targets)
    module, _, attribute = targets[name].partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        how = f"it needs the package '{error.name}': pip install 'pose_ros[torch]'"
        raise PluginError(name, f"cannot load {targets[name]}: {how}") from error
    except Exception as error:  # a library that does not load may raise anything
        raise PluginError(name, f"cannot load {targets[name]}: {type(error).__name__}: {error}") from error
    signature = inspect.signature(made)
    if input_wh is not None and "input_wh" in signature.parameters:
        arguments.setdefault("input_wh", input_wh)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        takes = ", ".join(str(p) for p in signature.parameters.values())
        raise ConfigError("network", f"architecture '{name}' takes ({takes}), got {arguments}") from error
    for key, value in arguments.items():
        expected = _TYPES.get(str(signature.parameters[key].annotation)) if key in signature.parameters else None
        if expected and type(value) is not expected:
            raise ConfigError(f"network.{key}", f"expected {expected.__name__}, got {type(value).__name__} {value!r}")
    try:
        network: Network = made(**arguments)
    except PoseRosError:
        raise
    except Exception as error:  # whatever comes of numbers that make no network
        raise ConfigError("network", f"architecture '{name}' cannot be built from {arguments}: {error}") from error
    return network.eval()
