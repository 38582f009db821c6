# SPDX-License-Identifier: Apache-2.0
"""What a pipeline can be told: which networks to run and where, and the blocks of the options of its pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pose_ros.core import kinds
from pose_ros.core.options import option
from pose_ros.lifters.lifting import LiftingOptions
from pose_ros.parts import PartOptions
from pose_ros.runtime.session import PRECISIONS


@dataclass(frozen=True)
class ComputeOptions:
    """Where networks run."""

    device: str = option("auto", "auto, cpu, cuda, tensorrt, or openvino:NAME. Never replaced silently.")
    runtime: str = option(
        "auto", "Library that runs the network.",
        choices=("auto", "onnxruntime", "openvino", "litert", "torch", "numpy"),
    )  # fmt: skip
    threads: int = option(0, "Processor threads of the network; 0 leaves it to the runtime.", low=0, high=256)
    precision: str = option(
        "float32", "What the network computes in. A device that cannot do it says so.", choices=PRECISIONS
    )
    batch: int = option(
        0, "Most subjects in one call of the network, which bounds its memory; 0: all at once. OpenVINO and LiteRT "
        "always take one.", low=0, high=1000,
    )
    cuda_graphs: bool = option(
        False, "Networks that PyTorch runs on an NVIDIA GPU are recorded once for each power of two of subjects, and "
        "replayed: many small kernels cost one launch, for more of its memory.",
    )
    exact: bool = option(
        False, "The same images give the same bits, however fast they come: nothing depends on the clock, or on what "
        "is ready by now.",
    )


@dataclass(frozen=True)
class ModelOptions:
    """Which network to run."""

    model: str = option("", "Model to run, see 'pose-ros models list'.", live=True)


@dataclass(frozen=True)
class RunOptions(ComputeOptions, ModelOptions):
    """Which network to run, and where."""


@dataclass(frozen=True)
class PipelineOptions(RunOptions):
    """What to run and where. Options of the parts stand in blocks of their own."""

    model: str = option(
        "blazepose-full", "Model to run: '[detector+]estimator', see 'pose-ros models list'.", live=True
    )
    skeleton: str = option("", "Convert results to this skeleton, such as coco17; empty keeps the model's own.")
    track: bool = option(True, "Give subjects ids over time.")
    smooth: bool = option(True, "Take the tremble out of the keypoints of tracked subjects.")


#: Parts of subjects that a pipeline can look at too -> the block of the options of their estimator. The blocks of the
#: parts themselves hold :class:`PartOptions`.
PARTS = {name: f"{one}_estimator" for name, one in kinds.PARTS.items()}
#: Blocks that name a further model -> kind of their options, and the block of the options of that model's plugin.
FURTHER: Mapping[str, tuple[type[PartOptions] | type[LiftingOptions], str]] = {
    **{name: (PartOptions, block) for name, block in PARTS.items()}, "lifting": (LiftingOptions, "lifter"),
}
#: Blocks of a configuration that hold the options of a piece of the pipeline.
BLOCKS = ("detector", "estimator", "top_down", "one_stage", "tracker", "rgbd", "filter", *FURTHER,
          *(block for _, block in FURTHER.values()))
