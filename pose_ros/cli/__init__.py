# SPDX-License-Identifier: Apache-2.0
"""The command line ``pose-ros``: one file per command, see :mod:`pose_ros.cli.main`."""
