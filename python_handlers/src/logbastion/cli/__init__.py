"""The command ``logbastion``."""

from logbastion.cli.main import main

__all__ = ["main"]
