# SPDX-License-Identifier: Apache-2.0
"""Message types: the class of a message by the name of its type."""

from __future__ import annotations

import importlib


def message_class(name: str) -> type:
    """Return the class of such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError: It is not installed.
    """
    package, _, short = name.partition("/msg/")
    try:
        found: type = getattr(importlib.import_module(f"{package}.msg"), short)
    except (ImportError, AttributeError):
        raise ImportError(f"{name} is not installed") from None
    return found
