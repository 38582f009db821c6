# SPDX-License-Identifier: Apache-2.0
"""Metres from depth images, of one camera or of two that stand beside each other."""
