"""`fit(compile=True)`: the same model sooner, or a clear word on why not."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import fit_toys
from event_toys import gaussian_events, grid
from presage.fitting import FitError, fit
from presage.models import RealNVP
from presage.store import Store

COMPILER = any(shutil.which(name) for name in ("g++", "clang++", "c++"))
QUICK = {"epochs": 2, "batch_size": 64, "progress": False, "device": "cpu"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, in torch
@pytest.mark.skipif(not COMPILER, reason="there is no C++ compiler")
def test_a_compiled_fit_is_the_same_model():
    """Also where the last batch of an epoch is short, and for flows that sample and invert."""
    events = gaussian_events(grid(2, 2), 100)
    spec = RealNVP(hidden=(8,), layers=2)
    plain = fit(spec, events, **QUICK)
    quick = fit(spec, events, compile=True, **QUICK)
    assert quick.key == plain.key
    for name in ("loss", "validation_loss"):
        assert np.allclose(quick.history[name], plain.history[name], rtol=1e-4)


def test_without_a_compiler_there_is_advice(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FitError, match=r"needs a C\+\+ compiler, and none of g\+\+"):
        fit(fit_toys.Toy(), fit_toys.dataset(), compile=True, **QUICK)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(FitError, match="CXX='no-such-compiler' is not there"):
        fit(fit_toys.Toy(), fit_toys.dataset(), compile=True, **QUICK)


def test_what_is_finished_needs_no_compiler_twice(monkeypatch, tmp_path):
    store = Store(tmp_path)
    events = fit_toys.stored(store)
    first = fit(fit_toys.Toy(), events, store=store, **QUICK)
    monkeypatch.setenv("CXX", "no-such-compiler")
    again = fit(fit_toys.Toy(), events, store=store, compile=True, **QUICK)
    assert again.key == first.key
