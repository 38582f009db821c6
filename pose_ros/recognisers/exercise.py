# SPDX-License-Identifier: Apache-2.0
"""Exercises as text: which angle goes there and back, how far, and what else has to be so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pose_ros.errors import ConfigError
from pose_ros.recognisers.movement import ANGULAR, NAMES

#: In words of :meth:`Exercise.parse`.
BUILTIN = (
    "squat both knee_flexion 35 70 95 trunk_lean<65 feet_split<0.5 off_balance<0.33 legs_up>0.2 hands_up>-1.2",
    "push_up both elbow_flexion 40 65 80 trunk_lean>60 trunk_lean<120 hands_up<-0.25 legs_up<0.6",
    "sit_up both trunk_rise 25 45 60 legs_up<0.35",
    "jumping_jack both shoulder_elevation 55 115 150 feet_apart>0.4 trunk_lean<35",
    "arm_raise each shoulder_elevation 50 100 150 elbow_flexion<50 feet_apart<0.4 trunk_lean<45",
    "lunge both knee_flexion 35 60 80 feet_split>0.5 trunk_lean<50",
)
_FORM = "'NAME both|each ANGLE REST COUNTS FULL [MEASURE<NUMBER] [MEASURE>NUMBER] ...'"
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_CONDITION = re.compile(r"([a-z_]+)([<>])(-?[0-9.]+)")


@dataclass(frozen=True)
class Condition:
    """What has to be so at the farthest point; what is unknown does no harm."""

    measure: str
    #: 1: larger; -1: smaller.
    sense: int
    #: Radians, or parts of a leg or an arm.
    bound: float


@dataclass(frozen=True)
class Exercise:
    """One exercise."""

    name: str
    #: Whether left and right are counted for themselves; else their mean is.
    each: bool
    signal: str
    #: A repetition goes from below ``rest`` beyond ``counts`` and back; beyond ``full`` it was deep enough. Radians, or
    #: parts of a leg or an arm.
    rest: float
    counts: float
    full: float
    conditions: tuple[Condition, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Exercise:
        """Return an exercise by the name of a built-in one, or as it is described; angles are degrees.

        Raises:
            ConfigError: What does not fit.
        """
        words = {one.split()[0]: one for one in BUILTIN}.get(text.strip(), text).split()
        if len(words) < 6 or words[1] not in ("both", "each"):
            known = ", ".join(one.split()[0] for one in BUILTIN)
            raise ConfigError("exercises", f"expected one of {known}; or {_FORM}; got {text!r}")
        name, sides, signal, *numbers = words[:6]
        if not _NAME.fullmatch(name):
            raise ConfigError("exercises", f"expected a name of lower case letters and _, got {name!r}")
        scale = _scale(signal)
        try:
            rest, counts, full = (scale * float(number) for number in numbers)
        except ValueError as error:
            raise ConfigError("exercises", f"expected {_FORM}; got {text!r}: {error}") from error
        if not rest < counts <= full:
            raise ConfigError("exercises", f"expected REST < COUNTS <= FULL in {text!r}; for an angle that becomes "
                              "smaller take the one on the other side of the joint, such as trunk_rise for trunk_lean")
        return cls(name, sides == "each", signal, rest, counts, full, tuple(map(_condition, words[6:])))


def parse_all(texts: Iterable[str]) -> tuple[Exercise, ...]:
    """Return exercises, each name once.

    Raises:
        ConfigError: What does not fit.
    """
    found = tuple(map(Exercise.parse, texts))
    names = [exercise.name for exercise in found]
    if not found or len(set(names)) < len(names):
        raise ConfigError("exercises", f"expected at least one, and each name once; got {', '.join(names) or 'none'}")
    return found


def _condition(text: str) -> Condition:
    fits = _CONDITION.fullmatch(text)
    if fits is None:
        raise ConfigError("exercises", f"expected a condition such as trunk_lean<60, got {text!r}")
    measure, sense, number = fits.groups()
    return Condition(measure, 1 if sense == ">" else -1, _scale(measure) * float(number))


def _scale(name: str) -> float:
    """Return what a number of a text is multiplied by."""
    if name not in NAMES:
        raise ConfigError("exercises", f"expected one of {', '.join(NAMES)}; got {name!r}")
    return float(np.radians(1)) if name in ANGULAR else 1.0
