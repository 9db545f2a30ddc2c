"""Filling recipes with samples, and checking what is there."""

from presage.generate.checks import repair, verify
from presage.generate.fly import on_the_fly
from presage.generate.run import simulate, simulate_shard
from presage.generate.samples import make, plan, shard_samples

__all__ = [
    "make", "on_the_fly", "plan", "repair", "shard_samples", "simulate", "simulate_shard", "verify",
]  # fmt: skip
