# SPDX-License-Identifier: Apache-2.0
"""Wire a pipeline from names: the only place that knows all rooms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_ros import registry
from pose_ros.core import kinds
from pose_ros.core.options import from_mapping, option, specs
from pose_ros.detectors.base import Detector
from pose_ros.errors import CardError, ConfigError, DeviceError, ModelError, ShapeError
from pose_ros.estimators.base import CropEstimator, ImageEstimator
from pose_ros.lifters.base import Lifter
from pose_ros.lifters.lifting import Lifting, LiftingOptions
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.parts import OwnPart, Part, PartOptions
from pose_ros.pipeline import Pipeline
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.recognisers.base import Recogniser
from pose_ros.rgbd.measure import DepthMeasurer
from pose_ros.rgbd.options import DepthOptions
from pose_ros.runtime import Session, check, open_session
from pose_ros.runtime.session import PRECISIONS
from pose_ros.skeletons import catalogue
from pose_ros.sources import OneStage, OneStageOptions, PoseSource, TopDown, TopDownOptions
from pose_ros.space import Space
from pose_ros.tracking.point_filter import FilterOptions, PointFilter
from pose_ros.tracking.smooth import PoseSmoother
from pose_ros.tracking.track import Numbers, Tracker, TrackerOptions


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


def parse_model(spec: str, store: Store) -> tuple[ModelCard | None, ModelCard]:
    """Return the cards (detector or None, estimator) that ``[detector+]estimator`` names.

    Raises:
        ConfigError: The words do not fit together.
        UnknownNameError: A model does not exist; the message lists near names.
    """
    first, plus, second = spec.strip().partition("+")
    estimator = store.card(second if plus else first)
    if estimator.kind != "estimator":
        raise ConfigError("model", f"expected '[detector+]estimator', got '{spec}': '{estimator.name}' is a detector")
    detector_name = first if plus else estimator.detector
    if not detector_name:
        return None, estimator
    detector = store.card(detector_name)
    if detector.kind != "detector":
        raise ConfigError("model", f"expected '[detector+]estimator', got '{spec}': '{detector.name}' is no detector")
    return detector, estimator


def models(config: Mapping[str, Any], store: Store) -> list[ModelCard]:
    """Return the cards of the models that a configuration asks for, whose files need not be here.

    Raises:
        ConfigError: The configuration does not fit.
        DeviceError: Nothing here can run their files, so that it makes no sense to fetch them.
        PoseRosError: An estimator needs something else that is not here.
    """
    options = from_mapping(PipelineOptions, {key: value for key, value in config.items() if key not in BLOCKS})
    wanted = [card for card in parse_model(options.model, store) if card is not None]
    estimators = {"estimator": wanted[-1]}
    for name in PARTS:
        part = _part_options(config.get(name), name)
        if part.model:
            wanted += [card for card in _part_cards(part, store) if card is not None]
            estimators[PARTS[name]] = wanted[-1]
    lifting = from_mapping(LiftingOptions, config.get("lifting") or {}, "lifting")
    lifter = _lifter_card(lifting, store)
    if lifter is not None:
        wanted.append(lifter)
    found: dict[str, ModelCard] = {}
    while wanted:
        card = wanted.pop(0)
        if card.name in found:
            continue
        found[card.name] = card
        wanted += map(store.card, card.needs.values())
        with _other_than(card):
            check(card.name + card.file.suffix, device=options.device, runtime=options.runtime, name=card.name)
    plugins = [("estimators", block, card) for block, card in estimators.items()]
    plugins += [("lifters", "lifter", lifter)] if lifter is not None else []
    for kind, block, card in plugins:
        plugin, plugin_options = _plugin(kind, block, card, config.get(block))
        plugin.check(plugin_options)
    return list(found.values())


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
    pieces = _Pieces(options, blocks, store, allow_fetch)
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
        part = _part_options(blocks[name], name)
        if part.own:
            skeletons = {block: catalogue.get(named) for block, (named, _) in whole.skeleton.blocks.items()}
            parts[name] = pipeline(OwnPart(name, skeletons, part))
        elif part.model:
            parts[name] = pipeline(_part(name, part, pieces))
    return pipeline(whole, options.skeleton, parts)


def recogniser(
    config: Mapping[str, Any] | str, store: Store | None = None, *, allow_fetch: bool = True
) -> Recogniser:
    """Open a recogniser that has learnt.

    Args:
        config: A model's name, or keys of :class:`RunOptions` and a block ``recogniser`` with the plugin's options.
        store: Where cards and files are; the default store when left out.
        allow_fetch: Whether missing files may be downloaded.

    Raises:
        PoseRosError: Anything that does not fit, named.
    """
    values: dict[str, Any] = {"model": config} if isinstance(config, str) else dict(config)
    blocks = {"recogniser": dict(values.pop("recogniser", {}) or {})}
    options, store = from_mapping(RunOptions, values), store or Store()
    card = store.card(options.model)
    if card.kind != "recogniser":
        raise ConfigError("model", f"expected a recogniser (`pose-ros models list --kind recogniser`); '{card.name}' "
                                   f"is a {card.kind}")
    for name in (card.name, *card.needs.values()):
        needed = store.card(name)
        with _other_than(needed):
            check(name + needed.file.suffix, device=options.device, runtime=options.runtime, name=name)
    plugin, plugin_options = _plugin("recognisers", "recogniser", card, blocks["recogniser"])
    plugin.check(plugin_options)
    found = _Pieces(options, blocks, store, allow_fetch).plugin("recognisers", "recogniser", card)
    assert isinstance(found, Recogniser)
    return found


def alone(config: Mapping[str, Any], store: Store | None = None, *, allow_fetch: bool = True) -> NetworkPlugin:
    """Open an estimator, detector or lifter without what stands around it in a pipeline.

    Args:
        config: Keys of :class:`RunOptions` and a block of the kind's name, such as ``estimator``, with the plugin's
            options. Of ``DETECTOR+ESTIMATOR`` it is the estimator.
        store: Where cards and files are; the default store when left out.
        allow_fetch: Whether missing files may be downloaded.

    Raises:
        PoseRosError: Anything that does not fit, named.
    """
    values, store = dict(config), store or Store()
    blocks = {kind: dict(values.pop(kind, {}) or {}) for kind in ("detector", "estimator", "lifter")}
    options = from_mapping(RunOptions, values)
    card = store.card(options.model) if "+" not in options.model else parse_model(options.model, store)[1]
    return _Pieces(options, blocks, store, allow_fetch).plugin(f"{card.kind}s", card.kind, card)


def looks_where_told(card: ModelCard) -> bool:
    """Return whether an estimator is told where subjects are."""
    return issubclass(registry.load(f"{card.kind}s", card.plugin), CropEstimator)


def known_options(card: ModelCard, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some options that the plugin of a card has."""
    known = {spec.name for spec in specs(registry.load(f"{card.kind}s", card.plugin).Options)}
    return {key: value for key, value in options.items() if key in known}


def _source(options: PipelineOptions, pieces: _Pieces) -> OneStage | TopDown:
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


def _lifter_card(options: LiftingOptions, store: Store) -> ModelCard | None:
    """Return the card of what lifts bodies; None where nothing does."""
    if not options.model:
        return None
    card = store.card(options.model)
    if card.kind != "lifter":
        raise ConfigError("lifting.model", f"expected a lifter (`pose-ros models list --kind lifter`); '{card.name}' "
                                           f"is a {card.kind}")
    return card


def _lifting(pieces: _Pieces, source: PoseSource) -> Lifting | None:
    """Return what lifts the bodies of a source; None where nothing does."""
    options = from_mapping(LiftingOptions, pieces.blocks["lifting"], "lifting")
    card = _lifter_card(options, pieces.store)
    if card is None:
        return None
    lifter = pieces.plugin("lifters", "lifter", card)
    assert isinstance(lifter, Lifter)
    lifting = Lifting(lifter, options)
    lifting.check(source.skeleton)
    return lifting


def _part_options(block: Mapping[str, Any] | None, name: str) -> PartOptions:
    part = from_mapping(PartOptions, block or {}, name)
    if part.own and part.model:
        raise ConfigError(f"{name}.own", f"expected no model beside it, got '{part.model}'")
    return part


def _part_cards(part: PartOptions, store: Store) -> tuple[ModelCard | None, ModelCard | None, ModelCard]:
    """Return the cards (detector or None, locator or None, estimator) of a kind of parts."""
    detector, estimator = parse_model(part.model, store)
    locator = store.card(estimator.locator) if estimator.locator else None
    return detector if part.detect_every else None, locator, estimator


def _part(name: str, options: PartOptions, pieces: _Pieces) -> Part:
    """Return what looks at one kind of parts."""
    detector_card, locator_card, card = _part_cards(options, pieces.store)
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


@dataclass(frozen=True)
class _Pieces:
    """Makes plugins."""

    options: RunOptions
    blocks: Mapping[str, dict[str, Any]]
    store: Store
    allow_fetch: bool

    def plugin(self, kind: str, block: str, card: ModelCard) -> NetworkPlugin:
        """Return a plugin with the options of a block; with its defaults where that is empty."""
        plugin, options = _plugin(kind, block, card, self.blocks[block] if block else {})
        model = self._model(card)
        try:
            return plugin(model, options)
        except (ModelError, ShapeError):
            self.store.drop(card)
            raise

    def _model(self, card: ModelCard) -> Model:
        path = self.store.fetch(card) if self.allow_fetch else self.store.path(card)
        try:
            session = _session(path, card, self.options)
        except (ModelError, ShapeError):
            self.store.drop(card)
            raise
        return Model(card, session, {role: self._model(self.store.card(name)) for role, name in card.needs.items()})


def _plugin(
    kind: str, block: str, card: ModelCard, given: Mapping[str, Any] | None
) -> tuple[type[NetworkPlugin], object]:
    """Return the plugin of a card, and its options, which a block of the configuration gives."""
    values = dict(given or {})
    named = values.pop("plugin", card.plugin)
    if named != card.plugin:
        raise ConfigError(f"{block}.plugin", f"model '{card.name}' needs plugin '{card.plugin}', got '{named}'")
    plugin = registry.load(kind, card.plugin)
    return plugin, from_mapping(plugin.Options, values, block)


@contextmanager
def _other_than(card: ModelCard) -> Iterator[None]:
    """Name the same network as ONNX, where there is one, to those who cannot run a checkpoint."""
    try:
        yield
    except DeviceError as error:
        other = card.name.removesuffix("-pth")
        if other == card.name or other not in cards.names():
            raise
        raise DeviceError(error.device, f"{error.problem}; or take '{other}', the same network as ONNX") from error


def _session(path: Path, card: ModelCard, options: RunOptions) -> Session:
    """Open a model's file; what a recogniser takes is no image, and is checked by its plugin.

    Raises:
        CardError: The network has another input than the card says.
        DeviceError: It cannot run here as it was asked for.
    """
    try:
        with _other_than(card):
            session = open_session(
                path, name=card.name, device=options.device, runtime=options.runtime, prefer=card.prefer,
                threads=options.threads, precision=options.precision, batch=options.batch, outputs=card.outputs,
                exact=options.exact, network=card.network, input_wh=card.input_wh,
            )
    except ConfigError as error:  # the description of the network
        raise CardError(card.name, str(error)) from error
    if card.kind != "recogniser":
        _check_image(session, card, path)
    return session


def _check_image(session: Session, card: ModelCard, path: Path) -> None:
    """Check that a network takes the images that its card says.

    Raises:
        CardError: It does not.
    """
    (image,), (width, height) = session.inputs, card.input_wh
    channels = card.preprocess.channels or (1 if card.preprocess.color == "gray" else 3)
    expected = (channels, height, width) if card.preprocess.layout == "nchw" else (height, width, channels)
    fits = len(image.shape) == 4 and all(a in (-1, e) for a, e in zip(image.shape[1:], expected, strict=True))
    if not fits or image.dtype != card.preprocess.dtype:
        raise CardError(card.name, f"expected an input {card.preprocess.dtype} {('N', *expected)} as its card says "
                                   f"(input_wh, preprocess.layout, preprocess.dtype), got {image.dtype} "
                                   f"{('N', *image.shape[1:])} in {path}; mend the card or take another file")
