"""Commands of detection, each a module."""
