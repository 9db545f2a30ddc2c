"""The study `pdf`: parton-distribution parameters from whole sets of events.

An experiment yields a set of events. A network that has seen simulated sets answers with a
posterior of the parameters, without being trained again; beside it always stand the exact
posterior, which is known here because every problem has its density, and the prior.
"""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
