# The public names of this study: imported at their first use, see presage/lazy.py.
from .amplifier import Amplifier as Amplifier
from .architecture import LSTM as LSTM
from .architecture import AmplifierError as AmplifierError
from .architecture import LayerArray as LayerArray
from .architecture import WaveNet as WaveNet
from .weight_files import read_amplifier as read_amplifier
from .weight_files import write_amplifier as write_amplifier
