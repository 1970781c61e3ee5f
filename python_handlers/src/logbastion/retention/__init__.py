"""How long log files live: the periods of `elk_templates/retention.yml`, and the manager that keeps to them."""

from logbastion.retention.manager import LogRetentionManager, RetentionError
from logbastion.retention.policies import RETENTION_POLICIES, RetentionPolicy
from logbastion.retention.report import Action, RetentionReport

__all__ = [
    "RETENTION_POLICIES",
    "Action",
    "LogRetentionManager",
    "RetentionError",
    "RetentionPolicy",
    "RetentionReport",
]
