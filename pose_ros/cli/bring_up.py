# SPDX-License-Identifier: Apache-2.0
"""Bring up: a lifecycle manager for the nodes of a composition that are ``process.managed``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node
from rclpy.task import Future

#: State -> the transition that leads on from it, and its name.
_NEXT = {
    State.PRIMARY_STATE_UNCONFIGURED: (Transition.TRANSITION_CONFIGURE, "configure"),
    State.PRIMARY_STATE_INACTIVE: (Transition.TRANSITION_ACTIVATE, "activate"),
}
#: A question without an answer is asked again after this time, seconds. A node that loads a model answers later; the
#: endpoints of one that was killed seem to be there for a while, and swallow what they are sent.
_ASK_AGAIN_S = 1.0
#: What a node has to finish its last frame, seconds.
_LAST_FRAME_S = 5.0


class _Managed:
    """One node on its way up."""

    def __init__(self, node: Node, path: str) -> None:
        self._path = path
        self._states = node.create_client(GetState, f"{path}/get_state")
        self._changes = node.create_client(ChangeState, f"{path}/change_state")
        self.again()

    def again(self) -> None:
        """Begin anew: the node has died, and lives again."""
        self._state: Future | None = None
        self._change: Future | None = None
        self._asked, self._doing = 0.0, ""
        #: Whether it has become active.
        self.up = False
        #: What it has refused.
        self.refused = ""

    def step(self) -> bool:
        """Ask for what is to be done next; returns whether the node is active."""
        if self.up or self.refused:
            return self.up
        if self._change is not None and self._change.done():
            if not self._change.result().success:
                self.refused = f"{self._path} refuses to {self._doing}"
                return False
            self.up = self._doing == "activate"
            self._change = self._state = None
            return self.up
        if self._state is not None and self._state.done():
            state, self._state = self._state.result().current_state.id, None
            self.up = state == State.PRIMARY_STATE_ACTIVE
            # One that is still where it was did not hear what it was told.
            if state in _NEXT:
                transition, self._doing = _NEXT[state]
                self._change = self._changes.call_async(_request(transition))
        elif self._due and self._states.service_is_ready() and self._changes.service_is_ready():
            self._asked, self._state = time.monotonic(), self._states.call_async(GetState.Request())
        return self.up

    @property
    def _due(self) -> bool:
        """Whether to ask how it is: there is no answer to wait for, or it has been waited for long enough."""
        return (self._change is None and self._state is None) or time.monotonic() - self._asked > _ASK_AGAIN_S

    def deactivate(self) -> Future | None:
        """Ask for the way down; None where there is nobody to ask."""
        there = self._changes.service_is_ready()
        return self._changes.call_async(_request(Transition.TRANSITION_DEACTIVATE)) if there else None


class BringUp:
    """Configures and activates one node after the other, each when those before it are active."""

    def __init__(self, node: Node, paths: Sequence[str]) -> None:
        """Ask nobody yet.

        Args:
            node: Is spun by somebody else.
            paths: Full names of the managed nodes, in the order in which they are brought up.
        """
        self._nodes = {path: _Managed(node, path) for path in paths}

    def look(self) -> str:
        """Go a step further if it is time; returns what was refused, if anything."""
        for one in self._nodes.values():
            if not one.step():
                return one.refused
        return ""

    @property
    def done(self) -> bool:
        """Whether all have become active."""
        return all(one.up for one in self._nodes.values())

    def again(self, path: str) -> None:
        """Bring a node up once more that was started anew; nothing happens to nodes that are not managed."""
        if path in self._nodes:
            self._nodes[path].again()

    def down(self, alive: Sequence[str]) -> None:
        """Deactivate those that are alive, the last one first, and wait for each to finish its frame."""
        for path in [path for path in reversed(self._nodes) if path in alive]:
            answer, until = self._nodes[path].deactivate(), time.monotonic() + _LAST_FRAME_S
            while answer is not None and not answer.done() and time.monotonic() < until:
                time.sleep(0.01)


def _request(transition: int) -> ChangeState.Request:
    return ChangeState.Request(transition=Transition(id=transition))
