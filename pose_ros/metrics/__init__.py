# SPDX-License-Identifier: Apache-2.0
"""The field's own numbers: pure functions on arrays, each equal to the program that defines it."""
