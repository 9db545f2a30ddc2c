"""Filling recipes with samples, and checking what is there."""

from presage.generate.checks import repair as repair
from presage.generate.checks import verify as verify
from presage.generate.fly import on_the_fly as on_the_fly
from presage.generate.run import simulate as simulate
from presage.generate.run import simulate_shard as simulate_shard
from presage.generate.samples import make as make
from presage.generate.samples import plan as plan
from presage.generate.samples import shard_samples as shard_samples
