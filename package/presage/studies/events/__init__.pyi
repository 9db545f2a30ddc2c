# The public names of this study: imported at their first use, see presage/lazy.py.
from .campaign import Campaign as Campaign
from .decay import ResonanceDecay as ResonanceDecay
from .described import read_description as read_description
from .evaluation import Evaluation as Evaluation
from .evaluation import Refinement as Refinement
from .gaussians import Gaussians as Gaussians
from .numpy_files import NumpyReader as NumpyReader
from .resonance import Resonance as Resonance
from .root import RootReader as RootReader
from .root import write_root as write_root
from .study import STUDY as STUDY
from .training import Training as Training
