# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong, in one tree.

::

    PoseRosError
    ├── ConfigError            a configuration does not fit: unknown key, wrong type, out of range
    ├── UnknownNameError       a plugin, model or skeleton of that name does not exist (lists near names)
    ├── PluginError            a plugin exists but cannot be loaded, or breaks its contract
    ├── ShapeError             an array has another shape or type than promised
    ├── ModelError             a model file or card is not usable
    │   ├── CardError          the card itself is wrong
    │   ├── ModelMissingError  the file is not here and may not or can not be fetched
    │   ├── ModelCorruptError  the file is here but is not the one the card names
    │   └── LicenceError       the licence was not accepted
    ├── DeviceError            the device or runtime that was asked for is not there
    ├── DatasetError           labelled data cannot be read, or are not what their layout promises
    │   └── DatasetMissingError  its files are not here (says what is expected, and where to get it)
    ├── ImageError             an image message or file cannot be read as an image
    └── SourceError            a video, camera, folder or bag cannot be opened or read

Every message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: A message lists all names that are known up to so many; more would be a page in which nobody finds anything.
_MOST_NAMES = 60

class PoseRosError(Exception):
    """Base of all errors that this package raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes as a whole: constructors take other arguments than the message."""
        return _again, (type(self), str(self)), self.__dict__


def _again(kind: type[PoseRosError], text: str) -> PoseRosError:
    error = kind.__new__(kind)
    error.args = (text,)
    return error


class ConfigError(PoseRosError, ValueError):
    """A configuration does not fit.

    Attributes:
        where: Path of the offending key, such as ``estimator.flip_test``.
    """

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        super().__init__(f"{where}: {problem}" if where else problem)


class UnknownNameError(PoseRosError, LookupError):
    """Nothing of that kind has that name.

    Attributes:
        kind: What was looked for, such as ``model``.
        name: The name that was asked for.
        known: All names that exist, sorted.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = difflib.get_close_matches(name, self.known, n=3, cutoff=0.5)
        text = f"unknown {kind} '{name}'"
        text += f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ";"
        if len(self.known) <= _MOST_NAMES:
            text += f" known: {', '.join(self.known) or '(none)'}"
        else:
            text += f" {len(self.known)} are known" + ("" if near else f", such as {', '.join(self.known[:3])}")
        super().__init__(text + (f". {hint}" if hint else ""))


class PluginError(PoseRosError):
    """A plugin cannot be loaded or breaks its contract.

    Attributes:
        plugin: Its registered name.
    """

    def __init__(self, plugin: str, problem: str) -> None:
        self.plugin = plugin
        super().__init__(f"plugin '{plugin}': {problem}")


class ShapeError(PoseRosError, ValueError):
    """An array has another shape or type than promised.

    Attributes:
        name: The argument.
        expected: Symbolic shape, such as ``(N, 17, 2)``.
        actual: What came.
    """

    def __init__(self, name: str, expected: str, actual: object) -> None:
        self.name, self.expected, self.actual = name, expected, actual
        super().__init__(f"{name}: expected {expected}, got {actual}")


class ModelError(PoseRosError):
    """A model is not usable.

    Attributes:
        model: Name of its card, or of its file where there is none.
        problem: The message without the name.
    """

    def __init__(self, model: str, problem: str) -> None:
        self.model, self.problem = model, problem
        super().__init__(f"model '{model}': {problem}")


class CardError(ModelError):
    """The model card is wrong."""


class ModelMissingError(ModelError):
    """The file is not here, and may not or can not be fetched."""


class ModelCorruptError(ModelError):
    """The file is here but is not the one that the card names."""


class LicenceError(ModelError):
    """The licence of the model has to be accepted by name first."""


class DeviceError(PoseRosError):
    """The device or runtime that was asked for is not there.

    Attributes:
        device: What was asked for.
        problem: The message without the device.
    """

    def __init__(self, device: str, problem: str) -> None:
        self.device, self.problem = device, problem
        super().__init__(f"device '{device}': {problem}")


class DatasetError(PoseRosError):
    """Labelled data cannot be read, or are not what their layout promises.

    Attributes:
        dataset: Its name, or a file of it.
        problem: The message without the name.
    """

    def __init__(self, dataset: str, problem: str) -> None:
        self.dataset, self.problem = dataset, problem
        super().__init__(f"data set '{dataset}': {problem}")


class DatasetMissingError(DatasetError):
    """Its files are not here."""


class ImageError(PoseRosError, ValueError):
    """An image message or file cannot be read as an image."""


class PartError(PoseRosError):
    """What looks at the hands or faces of subjects failed; the rest goes on without it.

    Attributes:
        part: Such as ``hands``.
        cause: What it raised.
    """

    def __init__(self, part: str, model: str, wait_s: float, cause: Exception) -> None:
        self.part, self.cause = part, cause
        why = str(cause) if isinstance(cause, PoseRosError) else f"{type(cause).__name__}: {cause}"
        super().__init__(f"{part}: '{model}' failed and is tried again after {wait_s:g} s, the rest goes on: {why}")


class SourceError(PoseRosError):
    """A source of images cannot be opened or read.

    Attributes:
        source: What was asked for.
    """

    def __init__(self, source: str, problem: str) -> None:
        self.source = source
        super().__init__(f"source '{source}': {problem}")
