"""What differs between environments: one table (guide, system 20), for the configuration and for what is judged.

======================  ================  ================  =================  =================
What                    development       test              staging            production
======================  ================  ================  =================  =================
Level of the root       DEBUG             INFO              INFO               INFO
Least level             DEBUG             DEBUG             DEBUG              INFO
Handlers                console           memory            files, shipping    files, shipping
Breach of a rule        warning, silent   warning, silent   error              error
Redaction               may be weakened   may be weakened   only stricter      only stricter
Share of a sample       1.0               1.0               0.1                0.1
======================  ================  ================  =================  =================

Level of the root
    where nobody says another; libraries that tell much at DEBUG stay at INFO then. The loggers of security, audit and
    performance log from INFO on everywhere.
Least level
    a lower one is refused, and no handler of :func:`logbastion.logging_config` writes less, whatever level a program
    gives a logger: nobody has looked at what DEBUG records hold (OWASP ASVS 5.0, 13.4.2). Rule 052 finds other ones.
Handlers
    files and shipping are there wherever they are named, and in staging and production nothing else is unless asked
    for. In development the console is there besides. A test writes into the memory of its process alone, the newest
    events (handler ``memory``), unless it names a place. Where staging and production name none, events go to the
    console, so that none is lost, and the system checks say so (rule 053).
Breach of a rule
    see :mod:`logbastion.diagnosis_rules`.
Redaction
    whether a project's classification may let more of the standard kinds of log-in and financial data be written, to
    look for a fault with invented data (PCI DSS v4.0.1, 3.3.1 and 3.4.1; OWASP ASVS 5.0, 16.2.5). The redaction itself
    is never off.
Share of a sample
    what a :class:`logbastion.LogSampler` without a rate of its own logs (guide, "Log Sampling and Rate Limiting", for
    production). Nothing is sampled but what a program gives to a sampler; all its calls are counted everywhere. Staging
    has production's share, so that what reads the events meets samples before real users do.

In all of them the same: every event passes the redaction, events are sent over verified TLS only, SQL with its
parameters is not written, and an exception has its traceback without the variables of the frames.

Any other name (``lab``, ``qa``, ``prod``) has the rules of production: a name that nobody knows may be that of a place
with real data, and a slip of the pen must not switch anything off. Rule 010 says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from logbastion.names import DEFAULT_ENVIRONMENT

Fallback = Literal["console", "memory"]


@dataclass(frozen=True)
class Environment:
    """The rules of one environment.

    Args:
        level: of the root logger, where nobody says another.
        least_level: what may be written at all.
        console: whether events go to standard error beside files and shipping.
        fallback: the handler where neither files nor shipping are named.
        strict: whether a breach of a rule has its strict level: real data are expected.
        may_weaken: whether a classification may let more of log-in and financial data be written than the standard.
        sample_rate: the share, 0 to 1, that a sampler logs to which nobody has given a rate.

    """

    level: str
    least_level: str
    console: bool
    fallback: Fallback
    strict: bool
    may_weaken: bool
    sample_rate: float


_WITH_REAL_DATA: Final = Environment(
    level="INFO",
    least_level="INFO",
    console=False,
    fallback="console",
    strict=True,
    may_weaken=False,
    sample_rate=0.1,
)
ENVIRONMENTS: Final[dict[str, Environment]] = {
    DEFAULT_ENVIRONMENT: Environment(
        level="DEBUG",
        least_level="DEBUG",
        console=True,
        fallback="console",
        strict=False,
        may_weaken=True,
        sample_rate=1.0,
    ),
    "test": Environment(
        level="INFO",
        least_level="DEBUG",
        console=False,
        fallback="memory",
        strict=False,
        may_weaken=True,
        sample_rate=1.0,
    ),
    "staging": Environment(
        level="INFO",
        least_level="DEBUG",
        console=False,
        fallback="console",
        strict=True,
        may_weaken=False,
        sample_rate=0.1,
    ),
    "production": _WITH_REAL_DATA,
}
"""The known environments by their names."""


def rules_of(name: str) -> Environment:
    """Return the rules of an environment; those of production for a name that is not in the table."""
    return ENVIRONMENTS.get(name, _WITH_REAL_DATA)


def is_strict(name: str) -> bool:
    """Say whether an environment is one in which real data are expected."""
    return rules_of(name).strict
