"""What pages are made with: declarations, panels, and the scripts that draw them."""
