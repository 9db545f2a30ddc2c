# The public names of this study: imported at their first use, see presage/lazy.py.
from .campaign import Campaign as Campaign
from .features import PooledFeatures as PooledFeatures
from .gaussian import Gaussian as Gaussian
from .inference import Inference as Inference
from .information import fisher_information as fisher_information
from .mceg import MCEG as MCEG
from .measure import Effort as Effort
from .original_files import OriginalFile as OriginalFile
from .problem import Problem as Problem
from .realistic_dis import RealisticDIS as RealisticDIS
from .realistic_dis_events import RealisticDISEvents as RealisticDISEvents
from .simplified_dis import SimplifiedDIS as SimplifiedDIS
from .simplified_dis_pushforward import (
    SimplifiedDISPushforward as SimplifiedDISPushforward,
)
from .study import STUDY as STUDY
from .training import Training as Training
