"""The study `sky`: the 21 cm signal of hydrogen under foregrounds 1e4 to 1e5 times brighter.

What is linear is computed once: a basis over frequency is fitted to the training skies, and
cleaned foregrounds, signals and noises are stored as pools, which training only adds. Beside
every answer stands the Wiener filter with the true covariances, which no method can beat where
the sky is Gaussian.
"""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
