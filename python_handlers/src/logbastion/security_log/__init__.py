"""Reads the security stream for people: the same questions to Elasticsearch and to the local files."""

from __future__ import annotations

from logbastion.security_log.elasticsearch import ElasticsearchLog, LogAwayError
from logbastion.security_log.files import FileLog
from logbastion.security_log.query import Cursor, Found, Query

__all__ = ["Cursor", "ElasticsearchLog", "FileLog", "Found", "LogAwayError", "Query"]
