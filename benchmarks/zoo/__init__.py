"""A zoo of shapes: small simulators of known density, on which every model of events is judged.

``shape`` says what one is, ``one``, ``counted`` and ``several`` hold them, ``table`` lists them
and where they are simulated, ``measure`` trains and compares, ``report`` makes the table.
"""
