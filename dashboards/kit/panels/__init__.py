"""The panels that pages are made of."""

from .corner import corner as corner
from .curve import Line as Line
from .curve import curve as curve
from .heatmap import Column as Column
from .heatmap import heatmap as heatmap
from .histogram import histogram as histogram
from .images import Picture as Picture
from .images import Scale as Scale
from .images import axis as axis
from .images import images as images
from .points import points as points
from .sample import sample as sample
from .sound import audio as audio
from .sound import spectrum as spectrum
from .table import Cell as Cell
from .table import Table as Table
from .table import table as table
from .texts import caption as caption
from .texts import head as head
from .texts import keys as keys
from .texts import slider as slider
