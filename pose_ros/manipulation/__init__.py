# SPDX-License-Identifier: Apache-2.0
"""Manipulation: which hand something can be handed to or taken from, and how far people are from parts of a robot."""
