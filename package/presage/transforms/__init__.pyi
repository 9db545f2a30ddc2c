# The public names: imported at their first use, see presage/lazy.py.
from .across import Across as Across
from .bounds import BoundMap as BoundMap
from .moments import PCABasis as PCABasis
from .moments import SpectralMoments as SpectralMoments
from .pca import PCA as PCA
from .scale import LabelScale as LabelScale
from .tail import UnlikeTrainingWarning as UnlikeTrainingWarning
from .transverse import LearnedWiener as LearnedWiener
from .transverse import TransverseMoments as TransverseMoments
from .wiener import Wiener as Wiener
