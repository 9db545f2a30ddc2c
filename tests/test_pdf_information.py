"""Fisher information: a closed form, a mean score of zero, and the number of events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import xarray as xr

from presage.labels import LabelError
from presage.studies.pdf import fisher_information
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.realistic_dis import RealisticDIS
from presage.studies.pdf.realistic_dis_events import RealisticDISEvents
from presage.studies.pdf.simplified_dis import SimplifiedDIS


def at(made, *rows):
    """Labelled parameters ``[observation, parameter]``."""
    names = [r.name for r in made.prior]
    return xr.DataArray(
        np.array(rows), dims=("observation", "parameter"), coords={"parameter": names}
    )


def closed_form(theta):
    """Information of one point of a normal law of the plane (Slepian and Bangs)."""
    sigma_x, sigma_y, rho = theta[2:]
    covariance = np.array(
        [[sigma_x**2, rho * sigma_x * sigma_y], [rho * sigma_x * sigma_y, sigma_y**2]]
    )
    means = [np.array([1.0, 0.0]), np.array([0.0, 1.0])] + 3 * [np.zeros(2)]
    slopes = [np.zeros((2, 2))] * 2 + [
        np.array([[2 * sigma_x, rho * sigma_y], [rho * sigma_y, 0.0]]),
        np.array([[0.0, rho * sigma_x], [rho * sigma_x, 2 * sigma_y]]),
        np.array([[0.0, sigma_x * sigma_y], [sigma_x * sigma_y, 0.0]]),
    ]
    inverse = np.linalg.inv(covariance)
    return np.array(
        [
            [m @ inverse @ n + 0.5 * np.trace(inverse @ u @ inverse @ v)
             for n, v in zip(means, slopes, strict=True)]
            for m, u in zip(means, slopes, strict=True)
        ]
    )  # fmt: skip


def test_the_information_of_the_gaussian_is_the_closed_one():
    made, rows = Gaussian(n_events=50), [(0.3, -1.0, 0.7, 1.8, 0.6), (1.0, 1.0, 2.0, 0.5, -0.7)]
    found = fisher_information(made, at(made, *rows))
    for i, theta in enumerate(rows):
        one, expected = found.isel(observation=i), 50 * closed_form(theta)
        pull = (one["information"] - expected) / one["information_error"].clip(min=1e-9)
        assert np.abs(pull).max() < 4
        limit = np.sqrt(np.diag(np.linalg.inv(expected)))
        np.testing.assert_allclose(one["deviation"], limit, rtol=0.03)


@pytest.mark.parametrize("make", [Gaussian, SimplifiedDIS, RealisticDIS, RealisticDISEvents])
def test_the_mean_score_is_zero_within_its_error(make):
    made = make()
    centre = [0.5 * (r.low + r.high) + 0.05 * (r.high - r.low) for r in made.prior]
    found = fisher_information(made, at(made, centre))
    pull = found["mean_score"] / found["mean_score_error"].where(lambda e: e > 0, 1.0)
    assert np.abs(pull).max() < 3.5
    assert (found["deviation"] > 0).all()


def test_four_times_the_events_halve_the_limit():
    made = SimplifiedDIS(n_events=100)
    theta = at(made, (-0.5, 3.0, -0.4, 4.0))
    few, many = (fisher_information(made, theta, n) for n in (None, 400))
    np.testing.assert_allclose(few["deviation"], 2 * many["deviation"], rtol=1e-12)


def test_a_poisson_number_of_events_tells_the_normalisation():
    """Shapes say nothing of logA0: what is known of it alone is the square root of a count."""
    made = RealisticDISEvents(n_events=1000)
    theta = at(made, (0.0, 0.0, 0.5, 3.0, 0.0, 0.0))
    matrix = fisher_information(made, theta)["information"].isel(observation=0)
    mean = float(made.mean_count(torch.from_numpy(theta.values))[0])
    count = float(matrix.sel(parameter="logA0", parameter_other="logA0"))
    assert count == pytest.approx(mean, rel=1e-9)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_labels_are_those_of_theta():
    made = Gaussian()
    theta = at(made, (0.0, 0.0, 1.0, 1.0, 0.0), (1.0, 0.0, 1.0, 1.0, 0.5))
    found = fisher_information(made, theta.assign_coords(observation=[7, 9]), n_draws=500)
    assert found["information"].dims == ("observation", "parameter", "parameter_other")
    assert found["observation"].values.tolist() == [7, 9]
    assert found["parameter"].values.tolist() == [r.name for r in made.prior]
    again = fisher_information(made, theta.transpose(), n_draws=500)
    np.testing.assert_array_equal(found["deviation"], again["deviation"])
    alone = fisher_information(made, theta[0], n_draws=500)
    assert alone["deviation"].dims == ("parameter",)


@dataclass(frozen=True)
class Blind(Gaussian):
    """A density that knows nothing of the correlation."""

    def log_prob(self, theta, events):
        return super().log_prob(theta * torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]), events)


WRONG = {
    "outside": (Gaussian(), (0.0, 0.0, 1.0, 1.0, 0.9), "rho = 0.9 is outside the prior"),
    "not told apart": (Blind(), (0.0, 0.0, 1.0, 1.0, 0.5), "do not tell mu_x, .* apart here"),
}


@pytest.mark.parametrize(("made", "theta", "message"), WRONG.values(), ids=WRONG)
def test_what_has_no_limit_is_refused(made, theta, message):
    with pytest.raises(LabelError, match=message):
        fisher_information(made, at(made, theta), n_draws=200)
