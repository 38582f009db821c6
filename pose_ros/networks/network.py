# SPDX-License-Identifier: Apache-2.0
"""What every architecture is: a module with named outputs that knows the layouts of its checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor, nn

from pose_ros.errors import ModelCorruptError

#: Rewrites the state dict of another implementation into ours; it may raise KeyError where it does not apply.
Layout = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
#: Wrappers and things for training that any checkpoint may carry.
_PREFIX = re.compile(r"^(module\.|model\.(?=backbone|head|neck|bbox_head|keypoint_head))")
_TRAINING = re.compile(r"^(data_preprocessor\.|ema_|loss|.*\.loss_|.*num_batches_tracked$)")
#: Names that an error message lists.
_MOST_NAMES = 4


class Network(nn.Module):
    """Base of all architectures. Our own names follow mmpose 1.x, where that has the architecture.

    ``forward`` takes float32 (N, 3, H, W), or (N, *``input_shape``), and returns a tuple of tensors (N, ...), one per
    name in ``outputs``.
    """

    #: Names of what ``forward`` returns, in order; an exported ONNX file has the same.
    outputs: tuple[str, ...] = ("output",)
    #: Whether the input may be of any size (bottom-up networks); otherwise it is that of the card.
    any_size: ClassVar[bool] = False
    #: Of the input; 3 for an image, more where a plugin adds maps of its own.
    channels: ClassVar[int] = 3
    #: Layouts of other implementations, besides our own.
    layouts: ClassVar[tuple[Layout, ...]] = ()

    def input_shape(self, input_wh: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of one input.

        Args:
            input_wh: The card's.
        """
        return self.channels, input_wh[1], input_wh[0]

    def load(self, state: Mapping[str, Tensor], model: str) -> None:
        """Take over the weights of a checkpoint, in whichever known layout it is.

        Args:
            state: Name -> tensor.
            model: What to call it in messages.

        Raises:
            ModelCorruptError: It fits none of the layouts: names are missing or unexpected, or shapes differ.
        """
        cleaned = {_PREFIX.sub("", key): value for key, value in state.items()}
        cleaned = {key: value for key, value in cleaned.items() if not _TRAINING.match(key)}
        own = {key: value for key, value in self.state_dict().items() if not _TRAINING.match(key)}
        problems = []
        for layout in (dict, *self.layouts):
            try:
                found = layout(cleaned)
            except KeyError:
                continue
            wrong = [
                *(f"{k} is missing" for k in own.keys() - found.keys()),
                *(f"{k} is not known" for k in found.keys() - own.keys()),
                *(f"{k} has shape {tuple(found[k].shape)} in place of {tuple(own[k].shape)}"
                  for k in own.keys() & found.keys() if found[k].shape != own[k].shape),
            ]  # fmt: skip
            if not wrong:
                self.load_state_dict(found, strict=False)  # only counters of training may be absent
                return
            problems.append(sorted(wrong))
        best = min(problems, key=len)
        more = f" and {len(best) - _MOST_NAMES} more" if len(best) > _MOST_NAMES else ""
        raise ModelCorruptError(
            model, f"expected a checkpoint of {type(self).__name__} with {len(own)} tensors, got {len(cleaned)} that "
                   f"do not fit: {'; '.join(best[:_MOST_NAMES])}{more}. Check the card's network, or fetch another file"
        )


def renamed(*rules: tuple[str, str]) -> Layout:
    """Return a layout that applies (pattern, replacement) of :func:`re.sub` to every name, one after the other."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def layout(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        found = {}
        for key, value in state.items():
            for pattern, replacement in compiled:
                key = pattern.sub(replacement, key)
            found[key] = value
        return found

    return layout
