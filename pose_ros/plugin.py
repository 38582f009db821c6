# SPDX-License-Identifier: Apache-2.0
"""What every plugin is: its options, and mostly a network, both handed in.

A plugin is a function, mostly with weights: same input, same output; no clock, no global, no change of its inputs.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from pose_ros.core.options import from_mapping
from pose_ros.errors import CardError, ConfigError
from pose_ros.models.card import ModelCard
from pose_ros.runtime.session import Session

T = TypeVar("T")

#: Version of the contract that plugins are written for; a plugin of another major version is refused.
API_VERSION = 1


@dataclass(frozen=True)
class Model:
    """A card and the open session of its file."""

    card: ModelCard
    session: Session
    #: Other networks that the card needs, by what it calls them.
    needs: Mapping[str, Model] = field(default_factory=dict)


@dataclass(frozen=True)
class NoOptions:
    """For plugins without options."""


class Plugin(ABC):  # noqa: B024 - each kind adds its own verb
    """Base of all plugins."""

    #: Contract the plugin was written for.
    api_version: ClassVar[int] = API_VERSION
    #: Frozen dataclass of options, see :mod:`pose_ros.core.options`.
    Options: ClassVar[type] = NoOptions

    def __init__(self, options: object | None = None) -> None:
        """Keep the options.

        Args:
            options: An instance of ``Options``; its defaults when left out.
        """
        self.options = self.Options() if options is None else options

    @classmethod  # noqa: B027 - most plugins need nothing else
    def check(cls, options: Any) -> None:
        """Check what a plugin needs besides its networks, before those are fetched.

        Args:
            options: An instance of ``Options``.

        Raises:
            PoseRosError: With what is missing and how to get it.
        """


class NetworkPlugin(Plugin):
    """Base of detectors, estimators, lifters and recognisers that learnt."""

    def __init__(self, model: Model, options: object | None = None) -> None:
        """Keep the network and the options.

        Args:
            model: Card and session.
            options: An instance of ``Options``; its defaults when left out.
        """
        super().__init__(options)
        self.model = model
        self.card = model.card
        self.session = model.session


def read_params(kind: type[T], card: ModelCard) -> T:
    """Return what a card says of its architecture (``params``).

    Args:
        kind: Frozen dataclass of options.
        card: Of a plugin's model.

    Raises:
        CardError: A parameter does not fit.
    """
    try:
        return from_mapping(kind, card.params, "params")
    except ConfigError as error:
        raise CardError(card.name, str(error)) from error
