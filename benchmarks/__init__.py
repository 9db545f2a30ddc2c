"""Speed and memory, measured beside peers in one run: ``python3 run.py bench``."""
