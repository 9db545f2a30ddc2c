"""Models by name: frozen dataclasses of settings that prepare data and build a network.

``model(name)`` finds one by its name; what training makes of it is a :class:`Fitted`.
"""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
