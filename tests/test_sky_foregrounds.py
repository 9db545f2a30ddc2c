"""Foregrounds, beams, noise and visibilities of the study `sky`, and their exact covariances."""

from __future__ import annotations

import numpy as np
import pytest

from presage.studies.sky import Beam, Component, Foregrounds, Patch, Receiver

PATCH = Patch(channels=32, pixels=64)
RNG = np.random.default_rng


def test_foregrounds_are_as_bright_as_published() -> None:
    """Each component's rms at 550 MHz over l = 12 to 1000: 660, 159, 50 and 2.3 mK."""
    l = np.arange(12, 1001)  # noqa: E741
    found = [
        np.sqrt(np.sum((2 * l + 1) / (4 * np.pi) * c.power(l))) * c.spectrum(np.array(550.0))
        for c in Foregrounds().components
    ]
    assert found == pytest.approx([660, 159, 50, 2.3], rel=0.015)


@pytest.mark.parametrize("component", Foregrounds().components)
def test_factor_is_a_root(component: Component) -> None:
    """W W^T is the published matrix to double precision, with few columns."""
    nu = PATCH.frequency
    factor = component.factor(nu)
    apart = np.log(nu[:, None] / nu) ** 2
    published = (130.0**2 / (nu[:, None] * nu)) ** component.index
    published *= np.exp(-apart / (2 * component.coherence**2))
    np.testing.assert_allclose(factor @ factor.T, published, rtol=1e-12)
    assert factor.shape[1] < 10


def test_receiver_noise_is_that_of_the_radiometer_equation() -> None:
    """33 K, 64 dishes, 0.78 MHz and 900 s a pixel: 0.16 mK."""
    assert np.sqrt(Receiver().variance(Patch())[64]) == pytest.approx(0.157, rel=0.02)


def test_beam_is_one_at_the_origin() -> None:
    for kind in ("none", "gaussian", "airy", "cosine"):
        np.testing.assert_allclose(Beam(kind).response(PATCH, np.zeros(1)), 1.0, rtol=1e-12)
