"""The perturbative part of mceg: gamma functions, coupling, evolution, inversion, sum rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from presage.labels import LabelError
from presage.studies.pdf.mceg import Coupling, Flavours
from presage.studies.pdf.mceg.couplings import beta0
from presage.studies.pdf.mceg.evolution import PARTONS, evolve, parton_weights, splitting
from presage.studies.pdf.mceg.inputs import (
    UP,
    gluon_norm,
    valence,
    valence_moments,
    valence_number,
)
from presage.studies.pdf.mceg.inversion import contour, kernel
from presage.studies.pdf.mceg.prior import spread
from presage.studies.pdf.mceg.special import beta, harmonic, real_beta
from presage.studies.pdf.mceg.theory import F2, D, Theory, U

# Leading-order benchmark of parton evolution: Giele et al., hep-ph/0204316, table 2, x f(x);
# Les Houches toy input at 2 GeV2 with alpha_s = 0.35 there; then at 1e4 GeV2 with nf = 4.
# L_m = dbar - ubar, L_p = 2 (ubar + dbar), s_p = s + sbar, c_p = c + cbar.
X = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.3, 0.5, 0.7, 0.9)
INPUT = """
u_v 1.2829e-5 8.0943e-5 5.1070e-4 3.2215e-3 2.0271e-2 1.2448e-1 5.9008e-1 6.6861e-1 3.6666e-1 1.0366e-1 4.6944e-3
d_v 7.6972e-6 4.8566e-5 3.0642e-4 1.9327e-3 1.2151e-2 7.3939e-2 3.1864e-1 2.8082e-1 1.1000e-1 1.8659e-2 2.8166e-4
L_m 9.7224e-8 7.7227e-7 6.1341e-6 4.8698e-5 3.8474e-4 2.8946e-3 1.2979e-2 7.7227e-3 1.6243e-3 1.0259e-4 1.7644e-7
L_p 3.8890 3.0891 2.4536 1.9478 1.5382 1.1520 4.9319e-1 8.7524e-2 9.7458e-3 3.8103e-4 4.3129e-7
s_p 7.7779e-1 6.1782e-1 4.9072e-1 3.8957e-1 3.0764e-1 2.3041e-1 9.8638e-2 1.7505e-2 1.9492e-3 7.6207e-5 8.6259e-8
g 8.5202 6.7678 5.3756 4.2681 3.3750 2.5623 1.2638 3.2228e-1 5.6938e-2 4.2810e-3 1.7180e-5
"""  # noqa: E501
EVOLVED = """
u_v 5.7722e-5 3.3373e-4 1.8724e-3 1.0057e-2 5.0392e-2 2.1955e-1 5.7267e-1 3.7925e-1 1.3476e-1 2.3123e-2 4.3443e-4
d_v 3.4343e-5 1.9800e-4 1.1065e-3 5.9076e-3 2.9296e-2 1.2433e-1 2.8413e-1 1.4186e-1 3.5364e-2 3.5943e-3 2.2287e-5
L_m 7.6527e-7 5.0137e-6 3.1696e-5 1.9071e-4 1.0618e-3 4.9731e-3 1.0470e-2 3.3029e-3 4.2815e-4 1.5868e-5 1.1042e-8
L_p 99.465 50.259 24.378 11.323 5.0324 2.0433 4.0832e-1 4.0165e-2 2.8624e-3 6.8961e-5 3.6293e-8
s_p 48.642 24.263 11.501 5.1164 2.0918 7.2814e-1 1.1698e-1 1.0516e-2 7.3138e-4 1.7725e-5 1.0192e-8
c_p 47.914 23.685 11.042 4.7530 1.8089 5.3247e-1 5.8864e-2 4.1379e-3 2.6481e-4 6.5549e-6 4.8893e-9
g 1316.2 600.08 254.19 97.371 32.078 8.0546 8.8766e-1 8.2676e-2 7.9240e-3 3.7311e-4 1.0918e-6
"""  # noqa: E501
COMBINATIONS = {
    "u_v": parton_weights(u_valence=1),
    "d_v": parton_weights(d_valence=1),
    "L_m": parton_weights(d_plus=0.5, d_valence=-0.5, u_plus=-0.5, u_valence=0.5),
    "L_p": parton_weights(d_plus=1, d_valence=-1, u_plus=1, u_valence=-1),
    "s_p": parton_weights(s_plus=1),
    "c_p": parton_weights(c_plus=1),
    "g": parton_weights(g=1),
}
LES_HOUCHES = Theory(2.0, Coupling(0.35, math.sqrt(2.0), None), Flavours(sea=0.1939875))
TOY = torch.tensor([-0.2, 3.0, 0.0, 0.0], dtype=torch.float64)
SOME = torch.tensor(
    [[-0.2, 3.0, 0.0, 0.0], [0.4, 4.5, -1.2, 5.0], [-0.6, 1.5, 8.0, -6.0]], dtype=torch.float64
)


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def table() -> list[tuple[float, str, list[float]]]:
    rows = []
    for q2, text in ((2.0, INPUT), (1e4, EVOLVED)):
        for line in text.strip().splitlines():
            name, *values = line.split()
            rows.append((q2, name, [float(value) for value in values]))
    return rows


@pytest.mark.parametrize(("q2", "name", "published"), table(), ids=lambda v: str(v)[:6])
def test_evolution_agrees_with_the_les_houches_table(q2, name, published):
    found = LES_HOUCHES.value(COMBINATIONS[name], TOY, double(*X), q2)
    np.testing.assert_allclose(found.numpy(), published, rtol=2e-4)


def test_the_toy_gluon_follows_from_the_momentum_sum():
    assert float(gluon_norm(TOY, LES_HOUCHES.flavours)) == pytest.approx(1.7, abs=2e-5)
    assert float(UP / valence_number(TOY)[0]) == pytest.approx(5.1072, abs=2e-5)


def test_beta_functions_on_the_contour():
    """B(z, 1) = 1/z and B(z, b + 1) = B(z, b) b / (z + b); on the real axis torch knows it."""
    z = contour()[0]
    error = 0.0
    for b in double(0.31, 1.0, 1.7, 6.4, 10.9):
        step = beta(z, b + 1) * (z + b) / (beta(z, b) * b) - 1
        error = max(error, float(step.abs().max()))
    assert error < 1e-12
    assert float((beta(z, double(1.0)) * z - 1).abs().max()) < 1e-12
    real = torch.linspace(0.05, 60, 40, dtype=torch.float64)
    for b in double(0.4, 3.3, 11.0):
        exact = real_beta(real, b)
        assert float((beta(real.to(torch.complex128), b) / exact - 1).abs().max()) < 1e-12


def test_beta_functions_can_be_differentiated():
    def parts(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(beta(contour()[0][::40] + a, b))

    inputs = (double(0.3).requires_grad_(), double(2.7).requires_grad_())
    assert torch.autograd.gradcheck(parts, inputs)


def test_harmonic_sums():
    n = torch.arange(1, 40, dtype=torch.float64)
    assert torch.allclose(harmonic(n.to(torch.complex128)).real, (1 / n).cumsum(0), rtol=1e-14)
    z = contour()[0]
    assert float((harmonic(z) - harmonic(z - 1) - 1 / z).abs().max()) < 1e-13


def test_the_coupling_runs_as_its_equation_says():
    coupling = Coupling()
    assert float(coupling.value(double(91.1876**2))) == pytest.approx(0.118, rel=1e-12)
    for q2, flavours in ((3.0, 4), (17.0, 4), (18.0, 5), (5000.0, 5)):
        a = 1 / coupling.inverse(q2 * torch.exp(double(-1e-4, 0.0, 1e-4)))
        slope = (a[2] - a[0]) / 2e-4
        assert float(slope) == pytest.approx(-beta0(flavours) * float(a[1]) ** 2, rel=1e-6)


def test_moments_obey_their_evolution_equation():
    """df / dlnQ2 = a P f, from differences, below and above the bottom mass."""
    theory, n = Theory(), contour()[0][:200:25]
    inputs = theory.flavours.partons(n)
    inputs[PARTONS.index("g")] = 1.5 * theory.flavours.gluon(n)
    for q2, nf in ((9.0, 4), (400.0, 5)):
        scales = q2 * torch.exp(double(-1e-4, 0.0, 1e-4))
        low, here, high = evolve(inputs, n, scales, 1.64, theory.coupling)
        slope = (high - low) / 2e-4
        a = 1 / theory.coupling.inverse(double(q2))
        qq, qg, gq, gg = splitting(n, nf)
        singlet, gluon = here[:nf].sum(0), here[PARTONS.index("g")]
        expected = qq * here
        expected[:nf] += qg * gluon / nf
        expected[PARTONS.index("g")] = gq * singlet + gg * gluon
        expected[nf:5] = 0
        assert torch.allclose(slope, a * expected, rtol=1e-5, atol=1e-9)


Q2 = double(2.0, 10.0, 4.18**2 * (1 - 1e-12), 4.18**2, 30.0, 1e4)


@pytest.mark.parametrize("theta", SOME, ids=str)
def test_numbers_and_momentum_are_conserved_across_the_threshold(theta):
    theory = Theory()
    for place, valences in ((1 + 1e-10, {"u_valence": 2, "d_valence": 1}), (2.0, {})):
        n = torch.tensor([place], dtype=torch.complex128)
        inputs = theory.flavours.partons(n)
        up = valence_moments(theta, n) * UP / valence_number(theta)[0]
        inputs[[PARTONS.index("u_plus"), PARTONS.index("u_valence")]] += up
        inputs[PARTONS.index("g")] = gluon_norm(theta, theory.flavours) * theory.flavours.gluon(n)
        evolved = evolve(inputs, n, Q2, theory.q0_squared, theory.coupling)[..., 0].real
        for name, number in valences.items():
            assert float((evolved[:, PARTONS.index(name)] - number).abs().max()) < 1e-8
        if not valences:
            assert float((evolved[:, :6].sum(1) - 1).abs().max()) < 1e-12


def integral(theory: Theory, q2: float, smallest: float, power: int, **weights: float):
    """The integral of x^(power - 1) f(x) over x above `smallest`, of two theta."""
    points, quadrature = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(400))
    span = -0.5 * math.log(smallest)
    x = torch.exp(-span * (1 - points))
    return theory.value(parton_weights(**weights), SOME[:2], x, q2) @ (span * quadrature * x**power)


@pytest.mark.parametrize("q2", [2.0, 1e4])
def test_sum_rules_hold_after_inversion(q2):
    found = [
        integral(Theory(), q2, 1e-10, 0, u_valence=0.5),
        integral(Theory(), q2, 1e-10, 0, d_valence=1.0),
        integral(Theory(), q2, 1e-12, 1, **dict.fromkeys(PARTONS[:6], 1.0)),
    ]
    assert float((torch.stack(found) - 1).abs().max()) < 1e-6


def test_inputs_are_recovered_by_inversion_over_the_whole_prior():
    theta = spread(200, Flavours())
    x = double(1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.998)
    moments = UP * valence_moments(theta, contour()[0]) / valence_number(theta)[0][:, None]
    found = (moments[:, None] * kernel(x)).imag.sum(-1)
    error = x * (found - valence(theta, x)) / (1 - x)
    assert float(error.abs().max()) < 1e-10


def test_structure_functions_are_continuous_across_the_bottom_mass():
    theory, x = Theory(), double(1e-3, 0.1, 0.5)
    edge = 4.18**2
    for combination in (F2, U, D, parton_weights(g=1)):
        below, above = (theory.value(combination, SOME, x, edge * (1 + e)) for e in (-1e-9, 1e-9))
        assert torch.allclose(below, above, rtol=1e-8)
    bottom = parton_weights(b_plus=1)
    assert float(theory.value(bottom, SOME, x, edge).abs().max()) < 1e-15
    assert float(theory.value(bottom, SOME, x, 2 * edge).min()) > 0


WRONG = {
    "negative coupling": (lambda: Coupling(alpha_s=-0.1), "alpha_s should be positive, got -0.1"),
    "no mass": (lambda: Coupling(bottom_mass=0.0), "bottom_mass should be positive"),
    "Landau pole": (
        lambda: Coupling(alpha_s=0.3).times(double(3.0), 1.64),
        "diverges above 1.64 GeV2",
    ),
    "backwards": (lambda: Coupling().times(double(1.0), 1.64), "from 1.64 GeV2 upwards"),
    "from above bottom": (lambda: Coupling().times(double(50.0), 20.0), "below the bottom mass"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(LabelError, match=message):
        make()
