# SPDX-License-Identifier: Apache-2.0
"""How each data set is judged: which number, relative to which length, and who says where subjects are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pose_ros.errors import ConfigError
from pose_ros.metrics.nme import FAILURE

if TYPE_CHECKING:
    from pose_ros.core.skeleton import Skeleton
    from pose_ros.datasets.base import Dataset, Sample
    from pose_ros.metrics.pck import Rule

Kind = Literal["precision", "share", "nme", "space"]


@dataclass(frozen=True)
class Protocol:
    """How results on a data set become numbers."""

    #: ``precision``: average precision by OKS; ``share``: PCK, EPE; ``nme``: faces; ``space``: MPJPE.
    kind: Kind
    #: Key of ``Sample.normalisers``; ``box``: the longer side, ``box_size``: the root of its area, where a set has no
    #: length of that name.
    length: str = "box"
    #: Share of the length within which a keypoint is correct, or above which a face is a failure.
    threshold: float = 0.2
    rule: Rule = "<"
    #: Keypoints that the mean leaves out.
    without: tuple[str, ...] = ()
    #: Whether every label counts the same and not every keypoint.
    pooled: bool = False
    #: Whether the mean distance in pixels comes first.
    pixels_first: bool = False

    @property
    def boxes(self) -> str:
        """Who says where subjects are unless told otherwise."""
        return "detector" if self.kind == "precision" else "truth"

    def check(self, name: str, sample: Sample) -> None:
        """Check that labels of a data set say what it is judged by.

        Raises:
            ConfigError: They do not.
        """
        if self.kind == "space" and sample.points is None:
            raise ConfigError("--data", f"{name} is judged in metres, and the labels of {sample.where} have none")
        named = self.kind in ("share", "nme") and self.length not in ("box", "box_size")
        if named and self.length not in sample.normalisers:
            raise ConfigError("--data", f"{name} is judged by the length '{self.length}', which the labels of "
                                        f"{sample.where} do not have; `pose-ros datasets show {name}` says which files "
                                        "there are")


#: What differs from what the first metric of a card means. MPII: pelvis and thorax are left out, as by its authors and
#: HRNet. Panoptic's hands: mmpose. Horse-10: Mathis et al., WACV 2021.
_OWN = {
    "mpii": Protocol("share", "head", 0.5, "<=", ("pelvis", "thorax"), pooled=True),
    "panoptic-hand": Protocol("share", "head", 0.7),
    "horse10": Protocol("share", "nose_eye", 0.3),
}
_BY_METRIC = {
    "OKS AP": Protocol("precision"),
    "PCK": Protocol("share"),
    "RMSE": Protocol("share", pixels_first=True),
    "NME inter-ocular": Protocol("nme", "inter_ocular", FAILURE["wflw"]),
    "NME box": Protocol("nme", "box_size", FAILURE["wflw"]),
    "MPJPE": Protocol("space"),
}


def labelled(dataset: Dataset, own: Skeleton) -> Skeleton:
    """Return the skeleton of labels as a model with skeleton ``own`` sees it.

    People's own labels do not say which joints of which subject they are: keypoints of the same name are the same.
    """
    if dataset.card.skeleton:
        return dataset.skeleton
    pairs = zip(dataset.skeleton.keypoints, dataset.skeleton.joints, strict=True)
    return replace(dataset.skeleton, joints=tuple(own.joints[own.index[name]] if name in own.index else joint
                                                  for name, joint in pairs))


def of(dataset: Dataset) -> Protocol:
    """Return how a data set is judged: by the first metric of its card that single images and its skeleton allow.

    Raises:
        ConfigError: There is none.
    """
    card = dataset.card
    if card.name in _OWN:
        return _OWN[card.name]
    if card.name.startswith("300"):
        return Protocol("nme", "inter_ocular", FAILURE["300w"])
    for metric in card.metrics:
        # Skeletons of people's own labels have no tolerances.
        if metric in _BY_METRIC and (metric != "OKS AP" or dataset.skeleton.sigmas):
            return _BY_METRIC[metric]
    raise ConfigError("--data", f"'{card.name}' is judged by {', '.join(card.metrics)}, which needs several cameras at "
                                "once or tolerances (sigmas) of its skeleton; see `pose-ros datasets list` for others")
