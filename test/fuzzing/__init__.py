# SPDX-License-Identifier: Apache-2.0
"""Messages that no honest node would send: valid ones, broken in the ways that cables, disks and bugs break them.

    from fuzzing import KINDS, broken
    kind = KINDS["Image"]
    message = broken(kind, random.Random(1))     # one of the kind's examples, with one to four things changed
    kind.read(message)                           # what our nodes do with it: returns, or raises a PoseRosError

The same seed gives the same message.
"""

from fuzzing.kinds import KINDS, Kind
from fuzzing.mutate import broken

__all__ = ["KINDS", "Kind", "broken"]
