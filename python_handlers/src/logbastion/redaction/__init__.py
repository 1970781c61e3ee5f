"""Redaction: nothing secret leaves the process.

:class:`Redactor` is the gate in front of every output; :class:`~logbastion.redaction.filter.RedactionFilter` is for
those who configure handlers by hand. What is secret says the table in :mod:`logbastion.redaction.classification`.
"""

from logbastion.redaction.classification import Classification, ClassificationError, Kind
from logbastion.redaction.engine import Redactor
from logbastion.redaction.filter import RedactionFilter

__all__ = ["Classification", "ClassificationError", "Kind", "RedactionFilter", "Redactor"]
