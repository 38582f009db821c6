# SPDX-License-Identifier: Apache-2.0
"""Outputs of networks -> coordinates and boxes. Pure functions of arrays; a family of networks per file."""
