# SPDX-License-Identifier: Apache-2.0
"""``pose-ros``: parse the command line, run one command, turn what went wrong into one paragraph and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

import pose_ros
from pose_ros import errors
from pose_ros.cli import bags, bench, calibrate, datasets, doctor, exporting, models, run, up, view
from pose_ros.cli import eval as eval_
from pose_ros.cli import list as list_

OK, FAILED, USAGE, MISSING, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """\
exit codes:
  0    it worked
  1    it failed, or the answer is no
  2    the command line or the configuration is wrong
  3    something is missing: a model, a device, ROS 2, an optional package
  130  interrupted
"""

_EPILOG = f"""\
examples:
  pose-ros doctor                            what is installed here, and what is missing
  pose-ros models list                       which networks there are, and which are here
  pose-ros run photo.jpg --output out        find people without ROS; picture and JSON land in out/
  pose-ros export out/skeletons --output walk.trc    skeletons over time, for OpenSim, Excel or Blender
  pose-ros view recording/                   images, skeletons, TF and latencies of a bag in Rerun's viewer
  pose-ros bench stages                      where the milliseconds of an image go, on this machine
  pose-ros up demo                           camera, estimator and recorder as ROS 2 nodes
  pose-ros COMMAND --help                    more about one command

{EXIT_CODES}"""

#: Which code an error ends with; the first that fits. Everything else is a failure.
_CODES: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((errors.ModelMissingError, errors.DatasetMissingError, errors.LicenceError, errors.DeviceError), MISSING),
    ((ModuleNotFoundError,), MISSING),
    ((errors.ConfigError, errors.UnknownNameError), USAGE),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="pose-ros",
        description="See people: skeletons from images, on ROS 2 topics or without ROS.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pose-ros {pose_ros.__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as one JSON document on stdout")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (up, run, view, exporting, bags, list_, models, datasets, eval_, calibrate, bench, doctor):
        module.add(commands, common, EXIT_CODES)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as leaving:  # argparse has printed help, a version or what is wrong
        return leaving.code if isinstance(leaving.code, int) else USAGE
    args.argv = list(sys.argv[1:] if argv is None else argv)
    try:
        code = args.handler(args)
        sys.stdout.flush()
        return int(code)
    except KeyboardInterrupt:
        return _report("interrupted", INTERRUPTED, debug=False)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        code = next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
        return _report(_explain(error), code, args.debug)


def _explain(error: Exception) -> str:
    if isinstance(error, errors.PoseRosError | OSError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the Python package '{error.name}' is missing; 'pose-ros doctor' says how to get it"
    return (
        f"unexpected {type(error).__name__}: {error}. This is a fault of pose-ros; "
        "run again with --debug and report what it prints"
    )


def _report(text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"pose-ros: {text}", file=sys.stderr)
    return code
