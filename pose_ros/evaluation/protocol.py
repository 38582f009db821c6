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
    from pose_ros.models.card import ModelCard

Kind = Literal["precision", "share", "nme", "space", "lifted", "boxes", "tracks", "views"]


@dataclass(frozen=True)
class Protocol:
    """How results on a data set become numbers."""

    #: Name of its judge, see :mod:`pose_ros.evaluation.judges`.
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

    #: Categories of the set that are judged, where a detector tells them apart; all as one where there is none.
    kinds: tuple[int, ...] = ()


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
    "3D PCP": Protocol("views"),
}
#: What pipelines can also be judged by, where the labels of a set allow it.
_MORE = (Protocol("tracks"), Protocol("views"))


def needs_length(protocol: Protocol, name: str, sample: Sample) -> None:
    """Check that labels of the data set ``name`` have the length that errors are measured by.

    Raises:
        ConfigError: They do not.
    """
    if protocol.length not in ("box", "box_size", *sample.normalisers):
        raise ConfigError("--data", f"{name} is judged by the length '{protocol.length}', which the labels of "
                                    f"{sample.where} do not have; `pose-ros datasets show {name}` says which files "
                                    "there are")


def labelled(dataset: Dataset, own: Skeleton) -> Skeleton:
    """Return the skeleton of labels as a model with skeleton ``own`` sees it.

    People's own labels do not say which joints of which subject they are: keypoints of the same name are the same.
    """
    if dataset.card.skeleton:
        return dataset.skeleton
    pairs = zip(dataset.skeleton.keypoints, dataset.skeleton.joints, strict=True)
    return replace(dataset.skeleton, joints=tuple(own.joints[own.index[name]] if name in own.index else joint
                                                  for name, joint in pairs))


def of(dataset: Dataset, card: ModelCard | None = None, wanted: str = "") -> Protocol:
    """Return how a model is judged on a data set.

    Args:
        dataset: The labels.
        card: Of the model, an estimator when left out: these are judged by the first metric of the set that single
            images and its skeleton allow, detectors by boxes, lifters by metres.
        wanted: Kind of protocol; that one when left out.

    Raises:
        ConfigError: There is none.
    """
    if card is not None and card.kind == "detector":
        usual = [Protocol("boxes", kinds=_kinds(dataset, card))]
    elif card is not None and card.kind == "lifter":
        usual = [Protocol("lifted")]
    else:
        usual = _by_metrics(dataset)
    possible = [*usual, *_MORE] if wanted and (card is None or card.kind == "estimator") else usual
    for protocol in possible:
        if wanted in ("", protocol.kind):
            return protocol
    if wanted:
        kinds = ", ".join(dict.fromkeys(protocol.kind for protocol in possible))
        raise ConfigError("--protocol", f"expected one of {kinds} with this model on {dataset.name}, got '{wanted}'")
    raise ConfigError("--data", f"'{dataset.name}' is judged by {', '.join(dataset.card.metrics)}, which needs "
                                "tolerances (sigmas) of its skeleton; see `pose-ros datasets list` for others")


def _by_metrics(dataset: Dataset) -> list[Protocol]:
    """Return what the metrics of a card mean, the first one first."""
    card = dataset.card
    if card.name in _OWN:
        return [_OWN[card.name]]
    if card.name.startswith("300"):
        return [Protocol("nme", "inter_ocular", FAILURE["300w"])]
    # Skeletons of people's own labels have no tolerances.
    return [_BY_METRIC[metric] for metric in card.metrics
            if metric in _BY_METRIC and (metric != "OKS AP" or dataset.skeleton.sigmas)]


def _kinds(dataset: Dataset, card: ModelCard) -> tuple[int, ...]:
    """Return the categories of a set that a detector knows; none where it only knows them as one.

    Raises:
        ConfigError: It looks for something else.
    """
    kinds = tuple(i for i, name in enumerate(dataset.categories) if name in card.classes)
    if not kinds and dataset.skeleton.subject not in card.classes:
        raise ConfigError("--model", f"'{card.name}' finds {', '.join(card.classes[:8])}; the labels of {dataset.name} "
                                     f"are of {', '.join(dataset.categories[:8])}")
    return kinds
