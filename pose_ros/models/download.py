# SPDX-License-Identifier: Apache-2.0
"""Download one file over HTTP: resumed where it stopped, tried again, checked before it takes its place."""

from __future__ import annotations

import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pose_ros.errors import ModelCorruptError, ModelMissingError
from pose_ros.models import files
from pose_ros.models.card import ModelCard
from pose_ros.models.files import Progress, part_of

log = logging.getLogger(__name__)

_CHUNK = 1 << 16
#: Bytes that are taken where a card names no size.
_MOST = 8 << 30
_TIMEOUT_S = 20.0
#: Waits between tries.
_BACKOFF_S = (0.5, 1.0, 2.0)
#: Answers that may be another one soon.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


def fetch(
    card: ModelCard, place: Path, progress: Progress | None, by_hand: str, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Download the file of a card to ``place``.

    Raises:
        ModelMissingError: The server cannot be reached or does not have it.
        ModelCorruptError: What came is not the file that the card names; nothing of it is kept.
        OSError: The file cannot be written.
    """
    url, part = card.file.url, part_of(place)
    tries = 0
    while True:
        resumed = part.exists()
        try:
            _receive(card, part, progress)
        except _Cut as cut:
            if cut.final or tries == len(_BACKOFF_S):
                raise ModelMissingError(card.name, f"cannot download {url}: {cut}; {by_hand}") from cut
            log.warning("download of %s: %s; trying again", url, cut)
            sleep(_BACKOFF_S[tries])
            tries += 1
            continue
        try:
            _keep(card, part, place)
        except ModelCorruptError as error:
            part.unlink(missing_ok=True)
            _validator(part).unlink(missing_ok=True)
            if not resumed:
                raise ModelCorruptError(card.name, f"{error.problem}; {by_hand}") from error
            log.warning("what was resumed of %s does not fit together; starting over", url)
        else:
            part.unlink(missing_ok=True)  # a zip of which one member was taken
            _validator(part).unlink(missing_ok=True)
            return


def _keep(card: ModelCard, part: Path, place: Path) -> None:
    if not card.file.member:
        files.keep(card, part, place, card.file.url)
    else:
        from pose_ros.models import archive

        archive.take_member(card, part, place, card.file.url)


class _Cut(Exception):
    """A download that did not reach its end."""

    def __init__(self, problem: object, final: bool = False) -> None:
        super().__init__(str(problem) or type(problem).__name__)
        #: Whether trying again is of no use.
        self.final = final


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another one, but never from an encrypted connection to one that anybody may change."""

    def redirect_request(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any,
                         newurl: str) -> urllib.request.Request | None:
        if not newurl.startswith("https://" if req.type == "https" else ("https://", "http://")):
            fp.close()
            raise _Cut(f"the server sends us on to {newurl}, which is less safe", final=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _validator(part: Path) -> Path:
    """Return where the server's mark of the version of a half fetched file is kept."""
    return part.with_name(part.name + ".etag")


def _receive(card: ModelCard, part: Path, progress: Progress | None) -> None:
    """Receive what is missing of a file; raises _Cut when it ends early."""
    if not card.file.sha256 and not _validator(part).exists():
        part.unlink(missing_ok=True)  # nothing would tell whether two halves belong together
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "pose_ros", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if _validator(part).exists():
            headers["If-Range"] = _validator(part).read_text(encoding="latin-1")
    try:
        request = urllib.request.Request(card.file.url, headers=headers)
        answer = urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing is missing, or the file there is shorter: the hash tells
            return
        raise _Cut(f"the server says {error.code} {error.reason}", error.code not in _PASSING) from error
    except urllib.error.URLError as error:
        raise _Cut(f"the server cannot be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Cut(error) from error
    with answer:
        if answer.status != 206:  # the server sends everything, whatever was asked for
            done = 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        # Only a strong mark promises equal bytes.
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        _validator(part).unlink(missing_ok=True)
        if mark and not mark.startswith("W/"):
            _validator(part).write_text(mark, encoding="latin-1")
        with part.open("ab" if done else "wb") as file:
            while chunk := _read(answer):
                file.write(chunk)
                done += len(chunk)
                if done > (card.file.size or _MOST):
                    return  # not our file: its hash will say so, and the disk does not fill up
                if progress:
                    progress(done, max(total, card.file.size))
    if done < total:
        raise _Cut(f"the connection ended after {done} of {total} bytes")


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise _Cut(error) from error
