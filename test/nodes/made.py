# SPDX-License-Identifier: Apache-2.0
"""Nodes of a composition, in the process of the test."""

from __future__ import annotations

from rclpy.parameter import Parameter


def made(nodes, spec, context, **more):
    """Return the node of a specification; ``nodes`` holds the classes by the name of their plugin."""
    overrides = [Parameter(key, value=value) for key, value in spec.parameters.items()]
    if spec.plugin != "player_node":
        more["name"] = spec.name
    return nodes[spec.plugin](context=context, namespace=spec.namespace, parameter_overrides=overrides, **more)
