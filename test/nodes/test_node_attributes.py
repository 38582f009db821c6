# SPDX-License-Identifier: Apache-2.0
"""Nodes of ours are nodes of rclpy: what rclpy keeps on itself stays its own."""

import ast
import inspect

import pytest

from pose_ros.nodes import camera_node, hri_node, managed, multiview_node, player_node, pose_node, recorder_node

_MODULES = (camera_node, hri_node, managed, multiview_node, player_node, pose_node, recorder_node)


@pytest.mark.parametrize("module", _MODULES, ids=lambda m: m.__name__.rsplit(".", 1)[1])
def test_no_attribute_hides_one_of_rclpy(module, ros):
    """rclpy's nodes do not guard their attributes: a ``_parameters`` of ours once broke every ``get_parameter``."""
    from rclpy.lifecycle import LifecycleNode

    node = LifecycleNode("bare", context=ros.context)
    ros.add(node)
    assigned = {
        target.attr
        for tree in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(tree, (ast.Assign, ast.AnnAssign))
        for target in (tree.targets if isinstance(tree, ast.Assign) else [tree.target])
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
    }
    assert assigned
    assert not assigned & set(vars(node))


def test_a_node_that_lacks_what_it_has_to_bring_cannot_be_made(ros):
    class Bare(managed.Managed):
        """Brings nothing."""

    with pytest.raises(TypeError, match=r"_begun.*_forget.*_options.*_prepare.*_why_silent.*_work"):
        Bare("bare", "nothing", ros.context)  # type: ignore[abstract]
