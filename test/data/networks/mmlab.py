# SPDX-License-Identifier: Apache-2.0
"""Import mmpose 1.3.2 (and mmdet 3.3.0, mmpretrain 1.2.0) without compiled operators, to record what they say.

Needs an environment of its own: ``pip install torch==2.13.0 mmengine mmcv-lite==2.1.0 six scipy json_tricks munkres
matplotlib importlib_metadata terminaltables shapely pycocotools xtcocotools einops rich modelindex numpy==1.26.4
"opencv-python-headless<4.12"`` and ``pip install --no-deps mmpose==1.3.2 mmdet==3.3.0 mmpretrain==1.2.0``.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

#: Compiled operators, and packages that mmpretrain imports and does not use for networks.
_ABSENT = ("mmcv.ops", "torchvision", "mat4py")


class _Placeholders(MetaPathFinder, Loader):
    """Gives modules whose every attribute is a class that cannot be used."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        absent = any(name == known or name.startswith(known + ".") for known in _ABSENT)
        return ModuleSpec(name, self, is_package=True) if absent else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)

        def attribute(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {"__init__": _refuse})

        module.__getattr__ = attribute  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def _refuse(self: object, *args: object, **kwargs: object) -> None:
    raise NotImplementedError(f"{type(self).__name__} is not installed here")


sys.meta_path.insert(0, _Placeholders())
import mmpose  # noqa: E402
import mmpose.models  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmpose.registry import MODELS  # noqa: E402

#: Where the configurations of all models are.
CONFIGS = Path(mmpose.__file__).parent / ".mim" / "configs"


def build(config: str | Path, **changes: Any) -> Any:
    """Return the model of a configuration (a path below CONFIGS) in evaluation mode, without pretrained weights."""
    made = Config.fromfile(CONFIGS / config)
    made.merge_from_dict(changes)
    init_default_scope("mmpose")
    for part in ("backbone",):
        if part in made.model:
            made.model[part].pop("init_cfg", None)
    return MODELS.build(made.model).eval()
