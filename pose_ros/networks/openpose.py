# SPDX-License-Identifier: Apache-2.0
"""OpenPose (Cao et al., CVPR 2017; Simon et al., CVPR 2017; Cao et al., TPAMI 2019): bodies, hands and faces.

Layers have the names that they have in the authors' Caffe files, so that a .caffemodel is read as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from pose_ros.networks.network import Layout, Network, renamed

#: The first ten layers of VGG-19; a pool comes before each group but the first.
_VGG = (
    (("conv1_1", 64), ("conv1_2", 64)),
    (("conv2_1", 128), ("conv2_2", 128)),
    (("conv3_1", 256), ("conv3_2", 256), ("conv3_3", 256), ("conv3_4", 256)),
    (("conv4_1", 512), ("conv4_2", 512)),
)


class _Stages(Network):
    """Convolutions by name."""

    any_size: ClassVar[bool] = True
    #: The state dict of a model of Hzzone/pytorch-openpose; the files it publishes have Caffe's own names.
    layouts: ClassVar[tuple[Layout, ...]] = (renamed((r"^model\d(_\d)?\.", "")),)

    def _conv(self, name: str, inside: int, outside: int, kernel: int) -> int:
        """Add a convolution that keeps the size; return its channels."""
        self.add_module(name, nn.Conv2d(inside, outside, kernel, padding=kernel // 2))
        return outside

    def _convs(self, layers: Iterable[tuple[str, int]], inside: int, kernel: int = 3) -> int:
        for name, outside in layers:
            inside = self._conv(name, inside, outside, kernel)
        return inside

    def _run(self, names: Iterable[str], x: Tensor) -> Tensor:
        """Apply convolutions with ReLU behind each."""
        for name in names:
            x = torch.relu(self._modules[name](x))
        return x

    def _vgg(self, image: Tensor, last: int) -> Tensor:
        """Return the features after ``last`` layers of the fourth group."""
        x = image
        for index, block in enumerate(_VGG):
            names = [name for name, _ in block]
            x = self._run(names[:last] if index == 3 else names, max_pool2d(x, 2) if index else x)
        return x

    def _add_vgg(self) -> int:
        channels = 3
        for block in _VGG:
            channels = self._convs(block, channels)
        return channels


def _first_stages(count: int) -> Layout:
    """Return the layout of a file that may have more stages than are used."""
    later = re.compile("|".join(rf"_stage{stage}_" for stage in range(count + 1, 7)) or "(?!)")

    def layout(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {key: value for key, value in state.items() if not later.search(key)}

    return layout


def _refinement(stage: int, suffix: str = "") -> list[str]:
    """Return the names of the seven layers of a stage from the second on."""
    return [f"Mconv{i}_stage{stage}{suffix}" for i in range(1, 8)]


class OpenPose(_Stages):
    """(N, 3, H, W) -> heat maps (N, keypoints + 1, H / 8, W / 8), the last of the background; fields (N, 2 limbs, ...).

    The network of 2017, for COCO (18 keypoints, 19 limbs) and MPI (15, 14).
    """

    outputs = ("heatmaps", "pafs")

    def __init__(self, keypoints: int = 18, limbs: int = 19, stages: int = 6) -> None:
        """Make the network.

        Args:
            keypoints: Without the background.
            limbs: Fields, of two channels each.
            stages: The first one included. OpenPose's fast MPI model stops after four of the six that are in its file.
        """
        super().__init__()
        features = self._convs((("conv4_3_CPM", 256), ("conv4_4_CPM", 128)), self._add_vgg())
        #: Branch -> its channels; the first one draws fields.
        self._branches = {"_L1": 2 * limbs, "_L2": keypoints + 1}
        self._stages = stages
        self.layouts = (_first_stages(stages), *self.layouts)  # type: ignore[misc]
        together = features + sum(self._branches.values())
        for branch, channels in self._branches.items():
            first = [f"conv5_{i}_CPM{branch}" for i in range(1, 6)]
            inside = self._convs([(name, 128) for name in first[:3]], features)
            self._convs(((first[3], 512), (first[4], channels)), inside, 1)
            for stage in range(2, stages + 1):
                names = _refinement(stage, branch)
                inside = self._convs([(name, 128) for name in names[:5]], together, 7)
                self._convs(((names[5], 128), (names[6], channels)), inside, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return heat maps and fields of the last stage."""
        features = self._run(("conv4_3_CPM", "conv4_4_CPM"), self._vgg(image, 2))
        x = features
        for stage in range(1, self._stages + 1):
            maps = []
            for branch in self._branches:
                names = [f"conv5_{i}_CPM{branch}" for i in range(1, 6)] if stage == 1 else _refinement(stage, branch)
                maps.append(self._modules[names[-1]](self._run(names[:-1], x)))
            x = torch.cat([*maps, features], 1)
        return maps[1], maps[0]


class OpenPoseBody25(_Stages):
    """(N, 3, H, W) -> heat maps (N, keypoints + 1, H / 8, W / 8), the last of the background; fields (N, 2 limbs, ...).

    The network of 2019: fields first, in four stages, then heat maps in two; each stage is made of blocks of three 3x3
    convolutions whose outputs are joined.
    """

    outputs = ("heatmaps", "pafs")

    def __init__(self, keypoints: int = 25, limbs: int = 26) -> None:
        """Make the network.

        Args:
            keypoints: Without the background.
            limbs: Fields, of two channels each.
        """
        super().__init__()
        features = self._convs((("conv4_3_CPM", 256), ("conv4_4_CPM", 128)), self._add_vgg())
        for name, channels in (("4_2", 512), ("4_3_CPM", 256), ("4_4_CPM", 128)):
            self.add_module(f"prelu{name}", nn.PReLU(channels))
        fields, maps = 2 * limbs, keypoints + 1
        for stage, inside in enumerate((features, *[features + fields] * 3)):
            self._add_stage(f"stage{stage}_L2", inside, fields, wide=stage > 0)
        for stage, inside in enumerate((features + fields, features + maps + fields)):
            self._add_stage(f"stage{stage}_L1", inside, maps, wide=stage > 0)

    def _add_stage(self, stage: str, inside: int, outside: int, *, wide: bool) -> None:
        width, last = (128, 512) if wide else (96, 256)
        for block in range(1, 6):
            for i in range(3):
                self._conv(f"Mconv{block}_{stage}_{i}", inside if i == 0 else width, width, 3)
                self.add_module(f"Mprelu{block}_{stage}_{i}", nn.PReLU(width))
            inside = 3 * width
        self._conv(f"Mconv6_{stage}", inside, last, 1)
        self.add_module(f"Mprelu6_{stage}", nn.PReLU(last))
        self._conv(f"Mconv7_{stage}", last, outside, 1)

    def _both(self, conv: str, x: Tensor) -> Tensor:
        """Apply a convolution and its PReLU."""
        return self._modules[conv.replace("conv", "prelu")](self._modules[conv](x))

    def _stage(self, stage: str, x: Tensor) -> Tensor:
        for block in range(1, 6):
            joined = []
            for i in range(3):
                x = self._both(f"Mconv{block}_{stage}_{i}", x)
                joined.append(x)
            x = torch.cat(joined, 1)
        return self._modules[f"Mconv7_{stage}"](self._both(f"Mconv6_{stage}", x))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return heat maps and fields of the last stages."""
        features = self._vgg(image, 1)
        for name in ("conv4_2", "conv4_3_CPM", "conv4_4_CPM"):
            features = self._both(name, features)
        fields = self._stage("stage0_L2", features)
        for stage in range(1, 4):
            fields = self._stage(f"stage{stage}_L2", torch.cat([features, fields], 1))
        maps = self._stage("stage0_L1", torch.cat([features, fields], 1))
        return self._stage("stage1_L1", torch.cat([features, maps, fields], 1)), fields


class OpenPosePart(_Stages):
    """(N, 3, H, W) -> heat maps (N, keypoints + 1, H / 8, W / 8), the last of the background.

    Convolutional pose machines of six stages (Wei et al., CVPR 2016), of one hand (21 keypoints) or one face (70).
    """

    outputs = ("heatmaps",)
    any_size: ClassVar[bool] = False

    def __init__(self, keypoints: int = 21) -> None:
        """Make the network.

        Args:
            keypoints: Without the background.
        """
        super().__init__()
        self._middle = ("conv4_3", "conv4_4", "conv5_1", "conv5_2", "conv5_3_CPM")
        channels = self._convs([(name, 512) for name in self._middle[:-1]], self._add_vgg())
        features, maps = self._conv(self._middle[-1], channels, 128, 3), keypoints + 1
        self._convs((("conv6_1_CPM", 512), ("conv6_2_CPM", maps)), features, 1)
        for stage in range(2, 7):
            names = _refinement(stage)
            inside = self._convs([(name, 128) for name in names[:5]], features + maps, 7)
            self._convs(((names[5], 128), (names[6], maps)), inside, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the heat maps of the last stage."""
        features = self._run(self._middle, self._vgg(image, 2))
        maps = self.get_submodule("conv6_2_CPM")(self._run(("conv6_1_CPM",), features))
        for stage in range(2, 7):
            *names, last = _refinement(stage)
            maps = self.get_submodule(last)(self._run(names, torch.cat([maps, features], 1)))
        return (maps,)
