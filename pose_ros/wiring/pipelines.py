# SPDX-License-Identifier: Apache-2.0
"""A configuration -> a ready pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pose_ros.core.options import from_mapping
from pose_ros.detectors.base import Detector
from pose_ros.errors import ConfigError
from pose_ros.estimators.base import CropEstimator, ImageEstimator
from pose_ros.lifters.base import Lifter
from pose_ros.lifters.lifting import Lifting, LiftingOptions
from pose_ros.models.store import Store
from pose_ros.parts import OwnPart, Part, PartOptions
from pose_ros.pipeline import Pipeline
from pose_ros.rgbd.measure import DepthMeasurer
from pose_ros.rgbd.options import DepthOptions
from pose_ros.skeletons import catalogue
from pose_ros.sources import OneStage, OneStageOptions, PoseSource, TopDown, TopDownOptions
from pose_ros.space import Space
from pose_ros.tracking.point_filter import FilterOptions, PointFilter
from pose_ros.tracking.smooth import PoseSmoother
from pose_ros.tracking.track import Numbers, Tracker, TrackerOptions
from pose_ros.wiring.names import lifter_card, models, parse_model, part_cards, part_options
from pose_ros.wiring.options import BLOCKS, PARTS, PipelineOptions
from pose_ros.wiring.pieces import Pieces


def build(
    config: Mapping[str, Any] | str | None = None, store: Store | None = None, *, allow_fetch: bool = True
) -> Pipeline:
    """Build a ready pipeline.

    Args:
        config: A model's name, or keys of :class:`PipelineOptions` and the :data:`BLOCKS` with the options of those
            pieces.
        store: Where cards and files are; the default store when left out.
        allow_fetch: Whether missing files may be downloaded.

    Raises:
        PoseRosError: Anything that does not fit, named.
    """
    values: dict[str, Any] = {"model": config} if isinstance(config, str) else dict(config or {})
    blocks = {name: dict(values.pop(name, {}) or {}) for name in BLOCKS}
    options = from_mapping(PipelineOptions, values)
    store = store or Store()
    models({**values, **blocks}, store)
    pieces = Pieces(options, blocks, store, allow_fetch)
    # Trackers count together: an id names one thing, be it a body or a hand.
    tracker_options, numbers = from_mapping(TrackerOptions, blocks["tracker"], "tracker"), Numbers()

    depth_options = from_mapping(DepthOptions, blocks["rgbd"], "rgbd")
    filter_options = from_mapping(FilterOptions, blocks["filter"], "filter")

    def pipeline(source: PoseSource, skeleton: str = "", parts: Mapping[str, Pipeline] | None = None) -> Pipeline:
        lifting = None if isinstance(source, (Part, OwnPart)) else _lifting(pieces, source)
        return Pipeline(
            source,
            Tracker(tracker_options, numbers) if options.track else None,
            catalogue.get(skeleton) if skeleton else None,
            PoseSmoother() if options.smooth else None,
            parts,
            Space(DepthMeasurer(depth_options), lifting, PointFilter(filter_options) if options.track else None),
        )

    whole = _source(options, pieces)
    parts: dict[str, Pipeline] = {}
    for name in PARTS:
        part = part_options(blocks[name], name)
        if part.own:
            skeletons = {block: catalogue.get(named) for block, (named, _) in whole.skeleton.blocks.items()}
            parts[name] = pipeline(OwnPart(name, skeletons, part))
        elif part.model:
            parts[name] = pipeline(_part(name, part, pieces))
    return pipeline(whole, options.skeleton, parts)


def _source(options: PipelineOptions, pieces: Pieces) -> OneStage | TopDown:
    """Return what finds the subjects."""
    detector_card, card = parse_model(options.model, pieces.store)
    estimator = pieces.plugin("estimators", "estimator", card)
    if isinstance(estimator, CropEstimator):
        if detector_card is None:
            raise ConfigError("model", f"'{card.name}' needs a detector: 'DETECTOR+{card.name}'")
        known = [name for name in card.subjects if name in detector_card.classes]
        if known and not pieces.blocks["detector"].get("classes"):
            pieces.blocks["detector"]["classes"] = known
        detector = pieces.plugin("detectors", "detector", detector_card)
        assert isinstance(detector, Detector)
        return TopDown(detector, estimator, from_mapping(TopDownOptions, pieces.blocks["top_down"], "top_down"))
    assert isinstance(estimator, ImageEstimator)
    if "+" in options.model or pieces.blocks["detector"]:
        raise ConfigError("model", f"'{card.name}' finds subjects itself and takes no detector")
    return OneStage(estimator, from_mapping(OneStageOptions, pieces.blocks["one_stage"], "one_stage"))


def _lifting(pieces: Pieces, source: PoseSource) -> Lifting | None:
    """Return what lifts the bodies of a source; None where nothing does."""
    options = from_mapping(LiftingOptions, pieces.blocks["lifting"], "lifting")
    card = lifter_card(options, pieces.store)
    if card is None:
        return None
    lifter = pieces.plugin("lifters", "lifter", card)
    assert isinstance(lifter, Lifter)
    lifting = Lifting(lifter, options)
    lifting.check(source.skeleton)
    return lifting


def _part(name: str, options: PartOptions, pieces: Pieces) -> Part:
    """Return what looks at one kind of parts."""
    detector_card, locator_card, card = part_cards(options, pieces.store)
    estimator = pieces.plugin("estimators", PARTS[name], card)
    if not isinstance(estimator, CropEstimator):
        raise ConfigError(f"{name}.model", f"expected an estimator that is told where to look; '{card.name}' "
                                           "looks at whole images")
    if options.detect_every and detector_card is None:
        raise ConfigError(f"{name}.detect_every", f"'{card.name}' needs a detector: 'DETECTOR+{card.name}'")
    detector = pieces.plugin("detectors", "", detector_card) if detector_card else None
    locator = pieces.plugin(f"{locator_card.kind}s", "", locator_card) if locator_card else None
    assert detector is None or isinstance(detector, Detector)
    assert locator is None or isinstance(locator, (Detector, CropEstimator))
    return Part(name, estimator, options, detector=detector, locator=locator)
