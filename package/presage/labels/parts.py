"""Complex values as a dimension ``component`` of real and imaginary parts, and back."""

from __future__ import annotations

import xarray as xr

from presage.labels.errors import LabelError


def to_complex(array: xr.DataArray) -> xr.DataArray:
    """Join a dimension ``component`` of (real, imag) into complex values.

    Parameters
    ----------
    array
        Real array with dimension ``component``, any order of dims.

    Returns
    -------
    xarray.DataArray
        Complex, without ``component``.
    """
    if "component" not in array.dims:
        raise LabelError(f"to_complex needs a dimension 'component', got {array.dims}")
    parts = [str(part) for part in array["component"].values]
    if parts != ["real", "imag"]:
        raise LabelError(f"'component' should be ['real', 'imag'], got {parts}")
    real, imaginary = (array.sel(component=part, drop=True) for part in parts)
    return (real + 1j * imaginary).assign_attrs(array.attrs)


def from_complex(array: xr.DataArray) -> xr.DataArray:
    """Split complex values into a last dimension ``component`` of (real, imag)."""
    joined = xr.concat([array.real, array.imag], dim="component").transpose(..., "component")
    return joined.assign_coords(component=["real", "imag"]).assign_attrs(array.attrs)
