"""The command ``presage``: run, generate, train, store, dashboard."""

from presage.cli.main import app, main

__all__ = ["app", "main"]
