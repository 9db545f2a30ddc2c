"""The page of study `pdf`: posteriors beside the exact ones, and their calibration."""

from .page import PAGE as PAGE
