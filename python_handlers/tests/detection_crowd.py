"""Many processes fail to log in at once; what each of them was told is added up.

``python detection_crowd.py JSON``: one of the processes. JSON is the kind of store, ``redis`` or ``database``, its URL
or the settings of Django's connection, which process this is, of how many, the failures and the addresses.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import logbastion

RULES_USED = ("address", "account")


def store_of(kind, connection):
    if kind == "redis":
        from logbastion.detection.stores.redis import RedisStore

        return RedisStore.from_url(connection, timeout=30)
    import django_detection_site

    return django_detection_site.store(connection)


def run(details):
    """Fail as one of the processes; returns how often each address was alerted on and what was seen of it last."""
    kind, connection, number, processes, failures, addresses = details
    from detection_helpers import KEY, Events

    from logbastion.detection import RULES, Blocks, Breaker, SecurityEventDetector

    events = Events()
    logging.getLogger("security.events").addHandler(events)
    logging.getLogger("system.log_management").addHandler(events)
    store, breaker = store_of(kind, connection), Breaker()
    rules = {name: RULES[name] for name in RULES_USED}
    blocks = Blocks(store, breaker)
    detector = SecurityEventDetector(store, key=KEY, rules=rules, blocks=blocks, breaker=breaker)
    sys.stdin.readline()  # all begin together
    for turn in range(number, failures, processes):
        # The first half of the addresses attack; of the others each fails four times.
        attackers = addresses // 2
        harmless = 4 * (addresses - attackers)
        # Neighbours in time are of different processes: they meet at the same address.
        address = attackers + turn // 4 if turn < harmless else turn // processes % attackers
        detector.track_failed_login(f"10.1.{address >> 8}.{address & 255}", f"user{turn}@example.org")
    alerts = Counter(record.source_ip for record in events.of("brute_force_attack"))
    others = {*events.types, *(record.getMessage() for record in events.of("detection_store_away"))}
    blocked = Counter(record.network for record in events.of("ip_blocked"))
    return {"alerts": alerts, "blocked": blocked, "types": sorted(others - {"brute_force_attack"})}


def crowd(kind, connection, processes, failures, addresses):
    """Run the processes; returns the alerts and blocks by address, and the other types of event."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{Path(logbastion.__file__).parent.parent}:{Path(__file__).parent}",
    }
    running = []
    for number in range(processes):
        details = json.dumps([kind, connection, number, processes, failures, addresses])
        command = [sys.executable, __file__, details]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(command, env=environment, **pipes))
    alerts, blocked, types = Counter(), Counter(), set()
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        output, _ = process.communicate()
        assert process.returncode == 0
        told = json.loads(output)
        alerts.update(told["alerts"])
        blocked.update(told["blocked"])
        types.update(told["types"])
    return alerts, blocked, types


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
