# SPDX-License-Identifier: Apache-2.0
"""The rule that readers of docs/actions.md would copy does what it says."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

from scenes.choreography import Do, clip, perform

PAGE = Path(__file__).parents[2] / "docs" / "actions.md"
FOLDED = {"*_shoulder_flexion": 35, "*_shoulder_rotation": 70, "*_shoulder_abduction": -5, "*_elbow_flexion": 100}


def test_crossed_arms_are_told(monkeypatch):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    module = types.ModuleType("crossed")
    monkeypatch.setitem(sys.modules, "crossed", module)
    exec(compile(code[1], "docs/actions.md", "exec"), module.__dict__)
    rule = module.Crossed()
    folded, open_arms = perform(Do("stand", 1, angles=FOLDED)), perform(Do("stand", 1), place=(0, 1))
    seen = rule.see(clip([open_arms, folded], 1.0, steps=rule.steps, step_s=rule.step_s))
    assert [(s.row, s.name, s.values["overlap"] > 0.05) for s in seen] == [(1, "arms_crossed", True)]
