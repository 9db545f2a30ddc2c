"""What pages are made of: look, address, data for the browser, figures, pictures."""
