"""The dashboard: browses the grids, distributions and residuals of a store.

The folder works under any package name (``dashboards`` in a checkout,
``presage.dashboards`` in an installed wheel), because all imports inside are relative.
"""
