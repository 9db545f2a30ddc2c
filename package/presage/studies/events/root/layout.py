"""Where the columns of an events dataset stand in a tree: read by it, written by it."""

from __future__ import annotations

from dataclasses import dataclass

from presage.studies.events.columns import reconstructed, true
from presage.studies.events.root.columns import Column


@dataclass(frozen=True)
class Range:
    """Values that an expression takes in events of one kind, uniform between two ends."""

    expression: str  # a branch, or a branch with an index
    low: float
    high: float
    dtype: str = "float32"  # of the branch


@dataclass(frozen=True)
class Layout:
    """A tree's layout.

    A column or label stands at a branch, ``branch[0]`` or ``branch[index_branch]``.
    """

    tree: str  # its name
    columns: tuple[Column, ...]  # what is measured
    labels: tuple[Column, ...]
    folder: str  # name of the directory of each label, with ``{label names}``
    cut: str = ""  # condition on the events
    passing: tuple[Range, ...] = ()  # what the other branches of the cut hold in events that
    failing: tuple[Range, ...] = ()  # pass it, and in those that do not


_PHOTON = "Photon_pt[CBL_RecoPhi_photonindex]"

#: The production configuration of FEDHEX (github.com/asatk/flows_pseudoaxions): a photon
#: above 220 GeV, the two-prong that goes with it, labels from the generator's masses.
#: omega decays to two charged pions and a neutral one: 2 m(pi+-) + m(pi0) > 0.414 GeV.
FEDHEX = Layout(
    tree="Events",
    columns=(
        Column(reconstructed("Phi", 0.0), "CBL_RecoPhi_mass"),
        Column(reconstructed("omega", 0.414), "TwoProng_massPi0[CBL_RecoPhi_twoprongindex]"),
    ),
    labels=(
        Column(true("Phi", lower=0.0), "GenPhi_mass[0]"),
        Column(true("omega", lower=0.0), "GenOmega_mass[0]"),
    ),
    folder="Phi_{phi_label}_omega_{omega_label}",
    cut=f"CBL_Region == 1 and {_PHOTON} > 220",
    passing=(Range("CBL_Region", 1, 1, "int32"), Range(_PHOTON, 230.0, 900.0)),
    failing=(Range("CBL_Region", 2, 2, "int32"), Range(_PHOTON, 20.0, 210.0)),
)
