"""The study `events`: interpolating event distributions on a sparse grid of labels.

Monte Carlo samples exist at a grid of labels (masses of two hypothetical particles). A
conditional flow learns p(reconstructed masses | label), so that events can be drawn at
labels that were never simulated; its residuals stand beside the statistical floor and
beside moment morphing.
"""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
