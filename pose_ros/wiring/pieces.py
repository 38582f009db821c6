# SPDX-License-Identifier: Apache-2.0
"""A model card -> a plugin with its network, ready to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_ros import registry
from pose_ros.core.options import from_mapping
from pose_ros.errors import CardError, ConfigError, DeviceError, ModelError, ShapeError
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.plugin import Model, NetworkPlugin
from pose_ros.runtime import Session, check, open_session
from pose_ros.wiring.options import RunOptions


@dataclass(frozen=True)
class Pieces:
    """Makes plugins."""

    options: RunOptions
    blocks: Mapping[str, dict[str, Any]]
    store: Store
    allow_fetch: bool

    def plugin(self, kind: str, block: str, card: ModelCard) -> NetworkPlugin:
        """Return a plugin with the options of a block; with its defaults where that is empty."""
        plugin, options = plugin_of(kind, block, card, self.blocks[block] if block else {})
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


def check_runs(card: ModelCard, options: RunOptions) -> None:
    """Refuse a model whose file nothing here can run, before it is fetched.

    Raises:
        DeviceError: Nothing can.
    """
    with _other_than(card):
        check(card.name + card.file.suffix, device=options.device, runtime=options.runtime, name=card.name)


def plugin_of(
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
                exact=options.exact, graphs=options.cuda_graphs, network=card.network, input_wh=card.input_wh,
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
