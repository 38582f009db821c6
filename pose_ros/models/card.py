# SPDX-License-Identifier: Apache-2.0
"""Model card: everything about a network except its weights, as data.

A model of a known architecture is added by writing a card; no Python is needed. ``docs/models.md`` explains each key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.errors import CardError
from pose_ros.formats import CASCADES, CHECKPOINTS, NETWORKS
from pose_ros.models.accuracy import Result

_KINDS = ("detector", "estimator", "lifter", "recogniser")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
#: What authors publish: a whole SHA-256, or its first digits as part of the file's name.
_SHA256 = re.compile(r"[0-9a-f]{7,64}")
#: One version of one package. pip takes addresses and options in the same place, and runs what is there.
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+( --hash=sha256:[0-9a-f]{64})?")
#: Brightness of red, green and blue (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class ModelFile:
    """Where the file of weights comes from. Exactly one of ``url``, ``wheel`` and ``path`` is given."""

    #: Of what the authors publish: of the whole file at ``url``, zip or not; with ``wheel``, of the member. 64 hex
    #: digits, or the first 7 or more where they publish no more. May be empty with ``path``, and with ``url`` where
    #: nothing is published: what came first is then remembered, and nothing else is taken ever after.
    sha256: str = ""
    #: Bytes, of the same thing.
    size: int = 0
    #: Address to download from.
    url: str = ""
    #: Requirement of a package on PyPI whose wheel holds the file, such as ``mediapipe==0.10.21``; see ``member``. With
    #: a hash, as in ``name==1.0 --hash=sha256:...``, it is the package's source archive.
    wheel: str = ""
    #: The file inside the wheel, or inside the zip at ``url``: its path, or its name where only one has it.
    member: str = ""
    #: A local file, relative to the card's folder.
    path: str = ""

    @property
    def suffix(self) -> str:
        """File name ending, such as ``.onnx``, from which the format is known."""
        return Path(self.member or self.path or self.url.split("?")[0]).suffix

    @property
    def is_source(self) -> bool:
        """Whether the file comes out of a source archive, as PyPI has no wheel of that package."""
        return "--hash=" in self.wheel

    @property
    def published(self) -> str:
        """SHA-256 that the file on this machine has to have, or its beginning; empty where only a zip's is known."""
        return "" if self.url and self.member else self.sha256


@dataclass(frozen=True)
class Preprocess:
    """How pixels become the network's input."""

    #: ``rgb``, ``bgr``, or ``gray`` for one channel.
    color: str = "rgb"
    #: ``nchw`` or ``nhwc``.
    layout: str = "nchw"
    #: ``(pixel - mean) / std`` with pixels 0 .. 255; one number per channel in the order of ``color``; gray takes the
    #: first.
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    #: Of the input; ``uint8`` and ``int32`` are the pixels themselves, which the network scales on its own.
    dtype: str = "float32"
    #: Of the input, where that is not an image alone and the plugin puts it together; 0 is 1 for gray and 3 for others.
    channels: int = 0

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """Return the network's input.

        Args:
            crops: RGB uint8 (N, H, W, 3). Not modified.

        Returns:
            (N, H, W, C) or (N, C, H, W) of type ``dtype``; C is 1 for gray and 3 for the rest.
        """
        if self.color == "bgr":
            crops = crops[..., ::-1]
        elif self.color == "gray":
            crops = np.rint(crops @ _LUMA)[..., None].astype(np.uint8)
        n, h, w, c = crops.shape
        if self.dtype != "float32":
            return np.ascontiguousarray(crops if self.layout == "nhwc" else crops.transpose(0, 3, 1, 2), self.dtype)
        factor, shift = _scaling(self, w)
        if self.layout == "nchw":
            crops, shape = crops.transpose(0, 3, 1, 2), (n, c, h, w)
        else:
            # Whole rows at once: NumPy is slow where the innermost axis is 3.
            crops, shape = crops.reshape(n, h, w * c), (n, h, w, c)
        batch = np.multiply(crops, factor, order="C", dtype=np.float32)
        if shift is not None:
            batch -= shift
        return batch.reshape(shape)


@lru_cache(maxsize=256)
def _scaling(preprocess: Preprocess, width: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what pixels are multiplied with, and what is taken away then (None: nothing), in the layout's shape."""
    channels = 1 if preprocess.color == "gray" else 3
    factor = 1 / np.array(preprocess.std[:channels], np.float32)
    shift = np.array(preprocess.mean[:channels], np.float32) * factor
    if not shift.any() and (factor == factor[0]).all():
        factor = factor[:1]
    elif preprocess.layout == "nchw":
        factor, shift = factor[:, None, None], shift[:, None, None]
    else:
        factor, shift = np.tile(factor, width), np.tile(shift, width)
    return factor, shift if shift.any() else None


@dataclass(frozen=True)
class Licence:
    """What the user has to know before the first use."""

    #: SPDX identifier, or ``unknown`` where the authors state none.
    weights: str
    #: Licence of the data the weights were trained on, as far as known.
    data: str = ""
    #: Whether commercial use is excluded, or so unclear that it must be taken as excluded.
    non_commercial: bool = False
    #: Where the statement can be read.
    source: str = ""


@dataclass(frozen=True)
class ModelCard:
    """One model.

    Raises:
        CardError: When a field is missing, unknown or contradictory; the message names it.
    """

    #: Lower case, digits, ``. _ -``; how users ask for it.
    name: str
    #: ``detector``, ``estimator``, ``lifter`` or ``recogniser``.
    kind: str
    #: Registered plugin that runs this architecture.
    plugin: str
    #: One sentence for ``models list``.
    summary: str
    file: ModelFile
    licence: Licence
    #: Size of the network's input.
    input_wh: tuple[int, int]
    preprocess: Preprocess = Preprocess()
    #: Skeleton of an estimator or lifter; of what a recogniser takes.
    skeleton: str = ""
    #: Card of the detector that an estimator uses when none is asked for; empty for one-stage estimators.
    detector: str = ""
    #: What an estimator knows: those of a detector's classes that it looks for, such as ``dog``; empty leaves the
    #: detector its own.
    subjects: tuple[str, ...] = ()
    #: Card that finds the subject inside the region where a body says that it is (a detector, or an estimator that says
    #: where to look); empty where that region is good enough.
    locator: str = ""
    #: Other networks that the plugin runs: what it calls them -> their cards.
    needs: Mapping[str, str] = field(default_factory=dict)
    #: Library that runs it fastest on a processor, where that is not the usual one: ``openvino``, ``onnxruntime`` or
    #: ``litert``.
    prefer: str = ""
    #: Outputs of the network that the plugin reads, in the order in which it expects them; of an .onnx file also what
    #: it computes on the way. The rest of the network is cut off before it is compiled. All outputs in the order of the
    #: file when left out.
    outputs: tuple[str, ...] = ()
    #: Names of the classes of a detector or recogniser, in the order of its outputs.
    classes: tuple[str, ...] = ()
    #: For a checkpoint: ``architecture``, see :mod:`pose_ros.networks`, and what else its constructor takes.
    network: Mapping[str, Any] = field(default_factory=dict)
    #: Architecture details that the plugin reads (decoder, padding, anchors, ...).
    params: Mapping[str, Any] = field(default_factory=dict)
    #: What its authors published.
    accuracy: tuple[Result, ...] = ()
    #: Millions.
    parameters_m: float = 0.0
    gflops: float = 0.0
    #: Paper or repository.
    source: str = ""
    #: Folder of the card, for ``file.path``.
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        """Check that all parts agree."""

        def need(ok: object, problem: str) -> None:
            if not ok:
                raise CardError(self.name or "(no name)", problem)

        need(_NAME.fullmatch(self.name), f"name: expected lower case, digits, '.', '_' or '-', got '{self.name}'")
        need(self.kind in _KINDS, f"kind: expected one of {', '.join(_KINDS)}; got '{self.kind}'")
        need(self.plugin, "plugin: expected the name of a registered plugin")
        need(self.kind == "detector" or self.skeleton, "skeleton: every kind but a detector has to name one")
        origins = [k for k in ("url", "wheel", "path") if getattr(self.file, k)]
        need(len(origins) == 1, f"file: expected exactly one of url, wheel, path; got {', '.join(origins) or 'none'}")
        need(self.file.url.startswith(("https://", "http://")) or not self.file.url,
             f"file.url: expected an address that begins with https:// or http://, got '{self.file.url}'; path names a "
             "file of this machine")
        need(_WHEEL.fullmatch(self.file.wheel) or not self.file.wheel,
             f"file.wheel: expected name==version, perhaps with --hash=sha256:..., got '{self.file.wheel}'")
        need(self.file.member or not self.file.wheel, "file: a wheel needs a member")
        need(not self.file.path or not self.file.member, "file: a path takes no member")
        need(_SHA256.fullmatch(self.file.sha256) or not (self.file.sha256 or self.file.wheel),
             f"file.sha256: expected 64 hex digits, or the first 7 or more, got '{self.file.sha256}'")
        known = (*NETWORKS, *CHECKPOINTS, *CASCADES)
        need(self.file.suffix in known,
             f"file: expected one that ends in {' '.join(known)}, got '{self.file.suffix}'"
             + ("; name the member of the zip that it is" if self.file.suffix == ".zip" else ""))
        is_checkpoint = self.file.suffix in CHECKPOINTS
        need(is_checkpoint == bool(self.network), f"network: expected with a checkpoint ({', '.join(CHECKPOINTS)}) and "
                                                  f"only there; the file is named '{self.file.suffix}'")
        need(not self.network or isinstance(self.network.get("architecture"), str),
             f"network.architecture: expected the name of an architecture, got {self.network.get('architecture')!r}")
        libraries = ("", "openvino", "onnxruntime", "litert")
        need(self.prefer in libraries, f"prefer: expected one of {', '.join(libraries[1:])}; got '{self.prefer}'")
        color, layout = self.preprocess.color, self.preprocess.layout
        need(color in ("rgb", "bgr", "gray"), f"preprocess.color: expected rgb, bgr or gray, got '{color}'")
        need(layout in ("nchw", "nhwc"), f"preprocess.layout: expected nchw or nhwc, got '{layout}'")
        plain = self.preprocess.mean == (0.0, 0.0, 0.0) and self.preprocess.std == (1.0, 1.0, 1.0)
        dtype = self.preprocess.dtype
        need(dtype in ("float32", "uint8", "int32"),
             f"preprocess.dtype: expected float32, uint8 or int32, got '{dtype}'")
        need(dtype == "float32" or plain, f"preprocess: an input of type {dtype} takes no mean and std")
        need(min(self.input_wh) > 0, f"input_wh: expected positive sizes, got {self.input_wh}")
        need(min(self.preprocess.std) > 0, f"preprocess.std: expected positive numbers, got {self.preprocess.std}")
