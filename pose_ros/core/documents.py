# SPDX-License-Identifier: Apache-2.0
"""Read YAML of unknown origin: plain data only, and nothing that grows or nests without end.

``SafeLoader`` makes no objects, but it copies what merge keys (``<<``) name, a few lines become billions of entries by
aliases of aliases, and libyaml's own loader ends the process where lists are nested too deeply for its stack. The
parser below it does neither, so what comes out of it is counted first.
"""

from __future__ import annotations

from typing import Any

import yaml

#: The same as safe_load, ten times as fast where PyYAML was built with libyaml.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Lists and mappings inside one another; cards and configurations need less than ten.
_DEPTH = 64
#: Values, those that aliases repeat counted each time.
_VALUES = 1_000_000


def load(text: str) -> Any:
    """Return what a YAML document says.

    Raises:
        yaml.YAMLError: It is no YAML, or is nested or repeats itself beyond all need.
    """
    _check(text)
    return yaml.load(text, _LOADER)


def _check(text: str) -> None:
    #: Anchors and values of what is open; of each named part, how many values it stands for.
    anchors, values, named = [""], [0], dict[str, int]()
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in named:
                raise yaml.YAMLError(f"expected a part named before and whole, got the alias '*{event.anchor}'")
            values[-1] += named[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            values[-1] += 1
            named[event.anchor or ""] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            anchors.append(event.anchor or "")
            values.append(1)
            if len(values) > _DEPTH:
                raise yaml.YAMLError(f"expected lists and mappings nested up to {_DEPTH} deep, got more")
        elif isinstance(event, yaml.CollectionEndEvent):
            size = values.pop()
            named[anchors.pop()] = size
            values[-1] += size
        if values[-1] > _VALUES:
            raise yaml.YAMLError(f"expected up to {_VALUES} values, got more once its aliases are followed")
