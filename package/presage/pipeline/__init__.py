"""Running a study's notebooks: typed parameters, step keys, skipping, sweeps, records."""

from presage.pipeline.run import Run, Step, run_study
from presage.pipeline.steps import PipelineError, shipped
from presage.typed import ParameterError

__all__ = ["ParameterError", "PipelineError", "Run", "Step", "run_study", "shipped"]
