from __future__ import annotations

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info
from torch import nn

from event_toys import events_of
from presage import models
from presage.models.threads import one_thread, step_threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_is_for_a_while_and_on_demand_for_all_libraries(two_threads):
    np.ones((8, 8)) @ np.ones((8, 8))
    with one_thread(others=True):
        assert torch.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    assert torch.get_num_threads() == 2


class Bare(nn.Module):
    """Weights that stand in no layer, as those of a flow of one variable do."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(47))


@pytest.mark.parametrize(
    ("network", "batch_size", "threads"),
    [
        (Bare(), 1024, 1),
        (nn.Sequential(*[nn.Linear(64, 64) for _ in range(20)]), 1024, 1),  # many small layers
        (nn.Linear(128, 128), 1024, 2),
        (nn.Linear(64, 64), 8192, 2),
        (nn.Conv1d(4, 4, 3), 16, 2),
        (nn.LSTM(1, 40), 16, 1),  # one sample after the other
        (nn.LSTM(64, 512), 1024, 2),
    ],
)
def test_a_step_of_small_layers_gets_one_thread(two_threads, network, batch_size, threads):
    few = {"x": torch.zeros(3, 2)}
    with step_threads(network, few, batch_size):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", ["SplineFlow", "CouplingSpline", "RealNVP", "MixtureDensity"])
@pytest.mark.parametrize("variables", [1, 2])
def test_default_flows_are_small_whatever_the_number_of_variables(two_threads, name, variables):
    rng = np.random.default_rng(0)
    columns = {"x": np.repeat([0.0, 1.0], 50)}
    columns |= {f"m{i}": rng.standard_normal(100) for i in range(variables)}
    model = getattr(models, name)()
    network = model.build(model.prepare(events_of(columns, labels=("x",))).declaration)
    with step_threads(network, {"x": torch.zeros(3, variables)}, 1024):
        assert torch.get_num_threads() == 1
