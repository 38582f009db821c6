# SPDX-License-Identifier: Apache-2.0
"""Names -> model cards: which networks a configuration asks for, and whether they can run here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pose_ros import registry
from pose_ros.core.options import from_mapping, specs
from pose_ros.errors import ConfigError
from pose_ros.estimators.base import CropEstimator
from pose_ros.lifters.lifting import LiftingOptions
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.parts import PartOptions
from pose_ros.wiring.options import BLOCKS, PARTS, PipelineOptions
from pose_ros.wiring.pieces import check_runs, plugin_of


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
        part = part_options(config.get(name), name)
        if part.model:
            wanted += [card for card in part_cards(part, store) if card is not None]
            estimators[PARTS[name]] = wanted[-1]
    lifting = from_mapping(LiftingOptions, config.get("lifting") or {}, "lifting")
    lifter = lifter_card(lifting, store)
    if lifter is not None:
        wanted.append(lifter)
    found: dict[str, ModelCard] = {}
    while wanted:
        card = wanted.pop(0)
        if card.name in found:
            continue
        found[card.name] = card
        wanted += map(store.card, card.needs.values())
        check_runs(card, options)
    plugins = [("estimators", block, card) for block, card in estimators.items()]
    plugins += [("lifters", "lifter", lifter)] if lifter is not None else []
    for kind, block, card in plugins:
        plugin, plugin_options = plugin_of(kind, block, card, config.get(block))
        plugin.check(plugin_options)
    return list(found.values())


def looks_where_told(card: ModelCard) -> bool:
    """Return whether an estimator is told where subjects are."""
    return issubclass(registry.load(f"{card.kind}s", card.plugin), CropEstimator)


def known_options(card: ModelCard, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some options that the plugin of a card has."""
    known = {spec.name for spec in specs(registry.load(f"{card.kind}s", card.plugin).Options)}
    return {key: value for key, value in options.items() if key in known}


def card_of(kind: str, name: str, store: Store, key: str = "model") -> ModelCard:
    """Return the card of a model, or refuse one of another kind.

    Raises:
        ConfigError: It is one, and the option ``key`` names it.
        UnknownNameError: There is no such model.
    """
    card = store.card(name)
    if card.kind != kind:
        raise ConfigError(key, f"expected a {kind} (`pose-ros models list --kind {kind}`); '{card.name}' "
                               f"is a {card.kind}")
    return card


def lifter_card(options: LiftingOptions, store: Store) -> ModelCard | None:
    """Return the card of what lifts bodies; None where nothing does."""
    return card_of("lifter", options.model, store, "lifting.model") if options.model else None


def part_options(block: Mapping[str, Any] | None, name: str) -> PartOptions:
    """Return the options of a kind of parts, out of its block of a configuration."""
    part = from_mapping(PartOptions, block or {}, name)
    if part.own and part.model:
        raise ConfigError(f"{name}.own", f"expected no model beside it, got '{part.model}'")
    return part


def part_cards(part: PartOptions, store: Store) -> tuple[ModelCard | None, ModelCard | None, ModelCard]:
    """Return the cards (detector or None, locator or None, estimator) of a kind of parts."""
    detector, estimator = parse_model(part.model, store)
    locator = store.card(estimator.locator) if estimator.locator else None
    return detector if part.detect_every else None, locator, estimator
