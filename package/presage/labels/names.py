"""Names that users' columns cannot have, because datasets of presage use them themselves."""

from __future__ import annotations

from collections.abc import Iterable

from presage.labels.errors import LabelError
from presage.labels.variables import Variable

#: What products call their own dimensions, coordinates and arrays: labels stand beside them.
#: `tests/test_names.py` collects them from the products themselves.
RESERVED = frozenset(
    {"source", "label", "variable", "pair", "quantile", "edge", "bin", "bin_x", "bin_y", "rank"}
    | {"title", "unit", "held_out", "region", "fold", "events"}
    | {"counts", "counts_2d", "edges", "underflow", "overflow", "outside"}
    | {"below_bound", "above_bound", "auc", "auc_error", "bin_difference", "bin_residual"}
    | {"bin_residual_outer", "cdf_error", "chi2_per_ndf", "chi2_per_ndf_10k", "correlation_shift"}
    | {"equivalent_events", "equivalent_events_cdf", "ks", "mean_shift", "pull_mean"}
    | {"beyond_range", "pull_width", "std_shift", "w1_over_sigma68", "w1_over_std"}
    | {"kfold_error", "disagreement", "expected_error", "cost", "score", "remaining_score"}
    | {"bin_density", "bin_density_error", "bin_pull", "bin_ratio", "bin_ratio_error", "bin_few"}
    | {"bin_ratio_floor", "pull_2d", "error", "floor", "added", "arm", "place"}
    | {"sum_of_weights", "counts_variance", "counts_2d_variance"}
    | {"underflow_variance", "overflow_variance"}
)


def check_label_names(parameters: Iterable[Variable], what: str = "a label") -> None:
    """Refuse labels that are called like something of presage's own products."""
    for parameter in parameters:
        if not parameter.dims and parameter.name in RESERVED:
            raise LabelError(
                f"{what} cannot be called {parameter.name!r}: residuals and other products have "
                f"something of that name. Rename it, to '{parameter.name}_value' for one"
            )
