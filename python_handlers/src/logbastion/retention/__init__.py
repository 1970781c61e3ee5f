"""How long log files live: the periods of `elk_templates/retention.yml`, and the manager that keeps to them."""

import importlib
from typing import TYPE_CHECKING, Any

from logbastion.retention.policies import RETENTION_POLICIES, RetentionPolicy

if TYPE_CHECKING:
    from logbastion.retention.manager import LogRetentionManager, RetentionError
    from logbastion.retention.report import Action, RetentionReport

__all__ = [
    "RETENTION_POLICIES",
    "Action",
    "LogRetentionManager",
    "RetentionError",
    "RetentionPolicy",
    "RetentionReport",
]
_MODULES = {
    "Action": "report",
    "LogRetentionManager": "manager",
    "RetentionError": "manager",
    "RetentionReport": "report",
}


def __getattr__(name: str) -> Any:
    """Import the manager, archives and compression with it, only for those who use it: megabytes in every worker."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
