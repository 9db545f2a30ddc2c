"""The study `amp`: copies of neural amplifier models that alias less than their teachers.

A neural model of an amplifier answers a sine with its harmonics, and with lines that are no
harmonics: what lies above half the sample rate comes back folded. What the teacher would answer
without them is computed once, tone by tone, and a copy of the teacher learns it.
"""

from presage.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
