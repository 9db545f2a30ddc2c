"""The page of study `events`: residuals on a grid of labels, and live draws between them."""

from .page import PAGE as PAGE
