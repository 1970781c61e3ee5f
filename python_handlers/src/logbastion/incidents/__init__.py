"""Sees incidents in what is logged, groups their lines, tells of them and answers.

``logging_config(incidents=True)`` switches it on; see :mod:`logbastion.incidents.options` for what else can be said.
"""

from logbastion.incidents.detector import IncidentDetector
from logbastion.incidents.handler import IncidentDetectionHandler
from logbastion.incidents.patterns import IncidentPattern, PatternError, load_patterns
from logbastion.incidents.reports import IncidentReport

__all__ = [
    "IncidentDetectionHandler",
    "IncidentDetector",
    "IncidentPattern",
    "IncidentReport",
    "PatternError",
    "load_patterns",
]
