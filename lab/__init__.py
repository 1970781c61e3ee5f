"""The lab: the project's hosts on one machine, as systemd containers, with a local package repository.

Run it as ``python -m lab`` from the root of the project. Nothing outside ``lab/`` depends on it, and no role knows of it.
"""
