"""Where the columns of an events dataset stand in a tree: read by it, written by it."""

from __future__ import annotations

from dataclasses import dataclass

from presage.labels import Parameter, Variable
from presage.studies.events.root.columns import Column


@dataclass(frozen=True)
class Range:
    """Values that an expression takes in events of one kind.

    Parameters
    ----------
    expression
        A branch, or a branch with an index.
    low, high
        Uniform between them; both equal for a fixed number.
    dtype
        Type of the branch.
    """

    expression: str
    low: float
    high: float
    dtype: str = "float32"


@dataclass(frozen=True)
class Layout:
    """A tree's layout.

    Parameters
    ----------
    tree
        Its name.
    columns, labels
        What is measured and its labels, each with the branch, ``branch[0]`` or
        ``branch[index_branch]`` that holds it.
    folder
        Name of the directory of each label, with ``{label names}``.
    cut
        Condition on the events.
    passing, failing
        What the other branches of the cut hold in events that pass it and that do not.
    """

    tree: str
    columns: tuple[Column, ...]
    labels: tuple[Column, ...]
    folder: str
    cut: str = ""
    passing: tuple[Range, ...] = ()
    failing: tuple[Range, ...] = ()


def _label(name: str, long_name: str) -> Parameter:
    return Parameter(name, dtype="float64", unit="GeV", long_name=long_name, lower=0.0)


def _mass(name: str, long_name: str, lower: float, follows: str) -> Variable:
    return Variable(name, unit="GeV", long_name=long_name, lower=lower, follows=follows)


_PHOTON = "Photon_pt[CBL_RecoPhi_photonindex]"

#: The production configuration of FEDHEX (github.com/asatk/flows_pseudoaxions): a photon
#: above 220 GeV, the two-prong that goes with it, labels from the generator's masses.
#: omega decays to two charged pions and a neutral one: 2 m(pi+-) + m(pi0) > 0.414 GeV.
FEDHEX = Layout(
    tree="Events",
    columns=(
        Column(
            _mass("phi_mass", "reconstructed mass of Phi", 0.0, "phi_label"),
            "CBL_RecoPhi_mass",
        ),
        Column(
            _mass("omega_mass", "reconstructed mass of omega", 0.414, "omega_label"),
            "TwoProng_massPi0[CBL_RecoPhi_twoprongindex]",
        ),
    ),
    labels=(
        Column(_label("phi_label", "true mass of Phi"), "GenPhi_mass[0]"),
        Column(_label("omega_label", "true mass of omega"), "GenOmega_mass[0]"),
    ),
    folder="Phi_{phi_label}_omega_{omega_label}",
    cut=f"CBL_Region == 1 and {_PHOTON} > 220",
    passing=(Range("CBL_Region", 1, 1, "int32"), Range(_PHOTON, 230.0, 900.0)),
    failing=(Range("CBL_Region", 2, 2, "int32"), Range(_PHOTON, 20.0, 210.0)),
)
