"""Datasets to and from other formats: netCDF, ROOT, NumPy, HDF5, PyTorch.

========= =============================================== ================================
suffix    what is in it                                   what is kept of names and recipe
========= =============================================== ================================
``.nc``   everything                                      everything
``.npz``  an array a variable, and ``presage_about``      everything, as JSON text
``.h5``   a dataset a variable, and ``presage_about``      everything, as JSON text
``.root`` a tree ``Events`` with a branch a variable, and everything, as JSON text
          the text ``presage_about``; written only
``.npy``  a structured array, a field a variable; written names
          only
``.pt``   a tensor a variable, text as lists of text, and  everything, as JSON text
          ``presage_about``
========= =============================================== ================================

Templates of :func:`presage.emulation.templates` go into ROOT histograms
(:func:`write_histograms`) and HistFactory workspaces (:func:`workspace`).
"""

from presage.exchange.about import ABOUT as ABOUT
from presage.exchange.histfactory import workspace as workspace
from presage.exchange.histograms import write_histograms as write_histograms
from presage.exchange.reading import read_file as read_file
from presage.exchange.writing import SUFFIXES as SUFFIXES
from presage.exchange.writing import write_file as write_file
