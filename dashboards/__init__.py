"""The dashboard: browses the grids, distributions and residuals of a store.

``presage dashboard`` imports this folder as ``dashboards`` from wherever it was shipped (see
``presage.cli.dashboards``); a page of one's own imports ``dashboards.kit``.
"""
