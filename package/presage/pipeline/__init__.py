"""Running a study's notebooks: typed parameters, step keys, skipping, sweeps, records."""

from presage.pipeline.parameters import ParameterError
from presage.pipeline.run import Run, Step, run_study
from presage.pipeline.steps import PipelineError, shipped

__all__ = ["ParameterError", "PipelineError", "Run", "Step", "run_study", "shipped"]
