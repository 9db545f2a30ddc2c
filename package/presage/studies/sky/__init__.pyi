# The public names of this study: imported at their first use, see presage/lazy.py.
from .beam import Beam as Beam
from .cosmology import Cosmology as Cosmology
from .cubes import SkyCubes as SkyCubes
from .foregrounds import Component as Component
from .foregrounds import Foregrounds as Foregrounds
from .geometry import Patch as Patch
from .leakage import Leakage as Leakage
from .receiver import Receiver as Receiver
from .signal import Signal as Signal
from .skies import SKIES as SKIES
from .skies import Sky as Sky
from .skies import SkyForegrounds as SkyForegrounds
from .skies import SkyNoise as SkyNoise
from .skies import SkySignal as SkySignal
from .skies import sky as sky
from .spheres import SkyMaps as SkyMaps
from .visibilities import Interferometer as Interferometer
