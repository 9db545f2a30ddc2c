"""From labelled events to labelled residuals, tables and figures."""
