# SPDX-License-Identifier: Apache-2.0
"""The store: from a card to a file whose SHA-256 is the one that the card names.

Files live in ``models`` below the cache folder, under names that carry their SHA-256, so that another version never
passes for this one. A file is hashed when it is first used in a process, and again when its size or time changed: a
launch pays a few milliseconds, and no record on the disk has to be believed; except where authors publish no SHA-256,
see :mod:`pose_ros.models.files`.

Nothing is fetched unless :meth:`Store.fetch` is called, and nothing at all where ``POSE_ROS_OFFLINE`` is set.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pose_ros import folders
from pose_ros.errors import CardError, LicenceError, ModelCorruptError, ModelMissingError
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.models.files import Progress, expected, forget, locked, part_of, sha256

log = logging.getLogger(__name__)

State = Literal["ready", "partial", "missing", "corrupt"]


class Store:
    """Model cards and their files on this machine."""

    def __init__(
        self, folder: Path | None = None, *, offline: bool | None = None, accept_licences: Iterable[str] = ()
    ) -> None:
        """Open a store; nothing is read or written yet.

        Args:
            folder: Where files are kept; ``models`` in the cache folder when left out.
            offline: Never touch the network; what ``POSE_ROS_OFFLINE`` says when left out.
            accept_licences: Models whose licence the user has accepted, besides ``POSE_ROS_ACCEPT_LICENCES`` (names
                with commas between them).
        """
        self.folder = folder or folders.cache() / "models"
        self.offline = os.environ.get("POSE_ROS_OFFLINE", "0") not in ("", "0") if offline is None else offline
        accepted = os.environ.get("POSE_ROS_ACCEPT_LICENCES", "").split(",")
        self.accepted = {*accept_licences, *(name.strip() for name in accepted if name.strip())}
        #: Files that were fetched by this store.
        self._fetched: set[Path] = set()
        #: Files that were hashed: path -> (size, time of change, SHA-256).
        self._hashed: dict[Path, tuple[int, int, str]] = {}

    def names(self, kind: str | None = None) -> list[str]:
        """Return the names of all models, or of one kind (``detector``, ``estimator``); a wrong card is logged."""
        return [card.name for card in self.cards() if kind in (None, card.kind)]

    def cards(self) -> Iterator[ModelCard]:
        """Yield all cards in the order of their names; a wrong one is logged."""
        for name, path in sorted(cards.places().items()):
            try:
                yield cards.read(path, name)
            except CardError as error:
                log.warning("%s", error)

    def card(self, name: str) -> ModelCard:
        """Return a card; see :func:`pose_ros.models.cards.get`."""
        return cards.get(name)

    def place(self, card: ModelCard) -> Path:
        """Return where the file of a card is or would be."""
        if card.file.path:
            return card.folder / card.file.path
        file = card.file
        # The member of a zip is often called the same in all of them.
        stem = Path(file.url.split("?")[0] or file.member).stem
        origin = "\n".join((file.url, file.member, file.sha256))
        mark = file.published if len(file.published) == 64 else hashlib.sha256(origin.encode()).hexdigest()
        return self.folder / f"{stem}-{mark[:16]}{file.suffix}"

    def path(self, card: ModelCard) -> Path:
        """Return the file of a card after checking it, without touching the network.

        Raises:
            ModelMissingError: It is not here; the message says the command that fetches it.
            ModelCorruptError: It is not the file that the card names.
        """
        place = self.place(card)
        wanted = expected(card, place)
        try:
            # The user's own file, of which nothing is said, is what it is.
            found = "" if card.file.path and not wanted and place.is_file() else self._hash(place)
        except FileNotFoundError:
            found = None
        except OSError as error:
            raise ModelMissingError(card.name, f"cannot read {place}: {error.strerror}") from error
        if found is None:
            how = "its card names that file" if card.file.path else f"fetch it with: pose-ros models fetch {card.name}"
            raise ModelMissingError(card.name, f"expected its file at {place}, found none; {how}")
        if not found.startswith(wanted) or (not wanted and not card.file.path):
            how = (f"mend {card.folder / card.name}.yaml" if card.file.path else
                   f"fetch it again with: pose-ros models fetch --force {card.name}")
            raise ModelCorruptError(
                card.name, f"expected a file with SHA-256 {wanted or '(not remembered)'} at {place}, got {found} "
                           f"({place.stat().st_size} bytes): it was cut off or changed; {how}"
            )
        return place

    def verify(self, card: ModelCard) -> Path:
        """Hash the file of a card anew; see :meth:`path`."""
        self._hashed.pop(self.place(card), None)
        return self.path(card)

    def state(self, card: ModelCard, *, hashed: bool = True) -> State:
        """Return whether the file is ``ready``, half fetched (``partial``), ``missing`` or ``corrupt``.

        Args:
            card: The model.
            hashed: Whether to look at the bytes of a file that is here; it is called ready otherwise.
        """
        place = self.place(card)
        if not hashed and place.is_file():
            return "ready"
        try:
            self.path(card)
        except ModelCorruptError:
            return "corrupt"
        except ModelMissingError:
            return "partial" if part_of(place).exists() else "missing"
        return "ready"

    def fetch(
        self, card: ModelCard, progress: Progress | None = None, *, source: Path | None = None, force: bool = False
    ) -> Path:
        """Return the file of a card, and fetch it first where it is not here.

        Args:
            card: The model.
            progress: Called while bytes come in.
            source: Take it from this file and not from the network: the file itself, or a wheel, .task, other zip or
                .tar.gz that holds it.
            force: Replace a file that is here, once the new one is complete.

        Raises:
            LicenceError: Its licence has to be accepted by name first; the message says how.
            ModelMissingError: It cannot be had; the message says why, and how to bring it by hand.
            ModelCorruptError: A file is here, or came, that is not the one that the card names.
        """
        if card.file.path or not (force or source or self.state(card) in ("missing", "partial")):
            return self.path(card)
        if self.offline and source is None:
            raise ModelMissingError(
                card.name, f"expected its file at {self.place(card)}, and POSE_ROS_OFFLINE forbids to fetch it; "
                           f"{self.by_hand(card)}"
            )
        self._show_licence(card)
        from pose_ros.models import archive, download  # they load http and subprocess, which a launch does not need

        # One lock for a wheel: whoever comes second finds the files of all its models.
        resource = self.folder / (card.file.wheel.split(" ")[0].replace("/", "_") or self.place(card).name)
        with self._writing(card), locked(resource):
            if not force and self.state(card) == "ready":  # another process was faster
                return self.path(card)
            if source is not None:
                archive.take(source, [card, *self._siblings(card)], self.place)
            elif card.file.wheel:
                archive.take_from_wheel([card, *self._siblings(card)], self.place, progress, self.by_hand(card))
            else:
                download.fetch(card, self.place(card), progress, self.by_hand(card))
            self._fetched.add(self.place(card))
        return self.verify(card)

    @staticmethod
    def asks(card: ModelCard) -> bool:
        """Return whether the licence of a model has to be accepted by name."""
        return card.licence.non_commercial or card.licence.weights == "unknown"

    def by_hand(self, card: ModelCard) -> str:
        """Say how to bring a file to a machine without a network."""
        archive = "source archive" if card.file.is_source else "wheel"
        inside = f"'{card.file.member}' of the {archive} {card.file.wheel} from PyPI"
        what = inside if card.file.wheel else card.file.url
        mark = f" (SHA-256 {card.file.sha256})" if card.file.sha256 else ""
        return (f"to bring it by hand, get {what}{mark} on another machine and run: "
                f"pose-ros models fetch {card.name} --from FILE")

    def drop(self, card: ModelCard) -> None:
        """Remove a file that has just come and turned out to be of no use, if nobody says that it is the right one."""
        if self.place(card) in self._fetched and not card.file.published:
            forget(self.place(card))

    def _siblings(self, card: ModelCard) -> list[ModelCard]:
        """Return the other models of the same wheel that may be used, so that it is fetched only once."""
        wheel = card.file.wheel
        return [c for c in self.cards() if wheel == c.file.wheel != "" and c.name != card.name and self.may_use(c)]

    def may_use(self, card: ModelCard) -> bool:
        """Return whether the licence of a model needs no acceptance, or was accepted."""
        return card.name in self.accepted or not self.asks(card)

    def _show_licence(self, card: ModelCard) -> None:
        licence = card.licence
        text = (f"weights: {licence.weights}" + (f"; trained on: {licence.data}" if licence.data else "")
                + ("; no commercial use" if licence.non_commercial else "") + f"; see {licence.source or card.source}")
        if not self.may_use(card):
            raise LicenceError(
                card.name, f"expected that you accept its licence ({text}); to accept it, set "
                           f"POSE_ROS_ACCEPT_LICENCES={card.name}, or run: "
                           f"pose-ros models fetch {card.name} --accept-licence {card.name}"
            )
        log.info("model '%s': licence of the %s", card.name, text)

    def _hash(self, path: Path) -> str:
        """Return the SHA-256 of a file, computed once for each version of it."""
        stat = path.stat()
        size, changed, digest = self._hashed.get(path, (-1, -1, ""))
        if (size, changed) != (stat.st_size, stat.st_mtime_ns):
            digest = sha256(path)
            self._hashed[path] = stat.st_size, stat.st_mtime_ns, digest
        return digest

    @contextmanager
    def _writing(self, card: ModelCard) -> Iterator[None]:
        """Turn a cache folder that takes no files into an error that says so."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            how = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it a writable folder"
            raise ModelMissingError(
                card.name, f"cannot write to the cache folder {self.folder}: {error.strerror or error}; {how}, "
                           f"or set POSE_ROS_CACHE to another one"
            ) from error
