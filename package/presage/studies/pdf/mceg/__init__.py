"""`mceg`: a leading-order generator of neutral-current DIS events with Mellin-space evolution.

couplings, evolution, inversion and special are the perturbative part; inputs holds the
partons at the starting scale; theory joins them into structure functions that are affine in
the moments of the u valence; kinematics and grid turn F2 into a density of events that is
drawn from and scored alike; prior says which parameters are physical.
"""

from presage.studies.pdf.mceg.couplings import Coupling as Coupling
from presage.studies.pdf.mceg.generator import MCEG as MCEG
from presage.studies.pdf.mceg.inputs import Flavours as Flavours
from presage.studies.pdf.mceg.kinematics import Kinematics as Kinematics
