"""Benchmarks of the package; they measure and assert no times."""
