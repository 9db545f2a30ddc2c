"""Names, units and bounds: what every array of presage is labelled with.

A :class:`Variable` says what one array holds for one sample; a :class:`Parameter` is a
variable that a simulator is steered by, a :class:`Weight` one that says what an event counts
for; a :class:`Schema` is the list of all, with the name of the sample dimension, and is what a
dataset is checked against.
"""

from presage.labels.checks import Array as Array
from presage.labels.checks import Arrays as Arrays
from presage.labels.checks import Floats as Floats
from presage.labels.checks import Integers as Integers
from presage.labels.checks import check_arrays as check_arrays
from presage.labels.checks import numbers_of as numbers_of
from presage.labels.checks import require as require
from presage.labels.checks import stored_as as stored_as
from presage.labels.equality import LabelMergeWarning as LabelMergeWarning
from presage.labels.errors import LabelError as LabelError
from presage.labels.errors import check_name as check_name
from presage.labels.errors import nearest as nearest
from presage.labels.missing import present as present
from presage.labels.parts import from_complex as from_complex
from presage.labels.parts import to_complex as to_complex
from presage.labels.schema import Schema as Schema
from presage.labels.schema import check_one_weight as check_one_weight
from presage.labels.variables import COMPONENT as COMPONENT
from presage.labels.variables import Coordinate as Coordinate
from presage.labels.variables import Parameter as Parameter
from presage.labels.variables import Variable as Variable
from presage.labels.variables import Weight as Weight
from presage.labels.variables import real as real
from presage.labels.variables import squared as squared
from presage.labels.variables import unitless as unitless
