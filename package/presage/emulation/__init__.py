"""Emulators of what is simulated at labels: held out, drawn anew, compared.

Which labels there are and how some are held out (``split``), simulators whose labels form a
grid (``grid``), drawing from a trained model (``sampling``), the residuals of what was drawn
(``measure``), and templates for a fit (``interpolated``). Nothing here knows a study.
"""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
