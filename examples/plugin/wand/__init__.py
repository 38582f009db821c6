# SPDX-License-Identifier: Apache-2.0
"""An estimator of a third party: a wand with three coloured balls, as tools and gauges carry them."""
