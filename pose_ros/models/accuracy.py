# SPDX-License-Identifier: Apache-2.0
"""How good authors say that a model is: one record for each number that they printed, in their unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

#: Who said where subjects are.
GIVEN = ("truth", "detector")
UNITS = ("%", "px", "mm")


@dataclass(frozen=True)
class Result:
    """One number that authors printed. What they do not say of it is empty.

    Raises:
        ValueError: A word that is none of the known ones.
    """

    #: Data set, as ``pose-ros datasets list`` names it where that has it.
    data: str
    #: As ``pose-ros eval`` names it, such as ``AP``, ``PCKh@0.5`` and ``P-MPJPE``; of a detector, about boxes.
    measure: str
    value: float
    #: ``%``, ``px`` or ``mm``; empty where it has none.
    unit: str = ""
    #: Of the data set.
    split: str = ""
    #: Who said where subjects are, and to a lifter where their keypoints are: ``truth`` or ``detector``.
    boxes: str = ""
    #: Which one that was.
    detector: str = ""
    #: Options of the plugin that differ from its own, such as ``{flip_test: true}``.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: What else is not as usual.
    note: str = ""
    #: Where it was printed; where the card's own ``source`` says when left out.
    source: str = ""

    def __post_init__(self) -> None:
        """Check the words that others compare."""
        for name, known in (("unit", UNITS), ("boxes", GIVEN)):
            if getattr(self, name) not in ("", *known):
                raise ValueError(f"accuracy: {name}: expected one of {', '.join(known)}; got '{getattr(self, name)}'")
        if self.detector and self.boxes != "detector":
            raise ValueError(f"accuracy: detector: expected with boxes: detector, got '{self.detector}'")

    def plain(self) -> dict[str, Any]:
        """Return what it says as a card writes it: without what is empty."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in said.items() if value not in ("", {})}

    @property
    def conditions(self) -> str:
        """Set, split and how it was measured, for people."""
        given = {"": "", "truth": "from the truth", "detector": "from a detector"}[self.boxes]
        parts = [" ".join(filter(None, (self.data, self.split, given, f"({self.detector})" * bool(self.detector))))]
        parts += [name if value is True else f"{name} {value}" for name, value in self.options.items()]
        return ", ".join([*parts, self.note] if self.note else parts)


def told(results: Iterable[Result]) -> list[str]:
    """Return results as people read them, those of the same conditions in one."""
    found: dict[str, list[str]] = {}
    for one in results:
        found.setdefault(one.conditions, []).append(f"{one.measure} {one.value:g}" + f" {one.unit}" * bool(one.unit))
    return [f"{conditions}: {', '.join(said)}" for conditions, said in found.items()]
