"""The parts of bench/nightly.py."""
