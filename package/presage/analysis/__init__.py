"""From labelled events to labelled residuals, tables and figures."""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
