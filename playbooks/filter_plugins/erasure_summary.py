"""What the hosts of an erasure have said, as sentences, and whether each is what one hopes for."""

import json
from typing import Any

NOBODY_KNOWS = "it was not reached or said nothing, so nobody knows what is left there."
COMPLETE = 0
ATTENTION = 1


def erasure_told(results: list[dict[str, Any]], check_mode: bool) -> list[dict[str, Any]]:
    """Return host, what, sentence and whether it is good for each result.

    Args:
        results: host, what, and what the command has said (`rc`, `stdout`, `stderr`) or nothing. With `waiting` it is
            about a queue: how many events are in it.
        check_mode: whether it was only asked what would be done; then what was found is no failure.
    """
    told = []
    for each in results:
        said = each.get("said") or {}
        report = _report(said.get("stdout"))
        code = int(said.get("rc", 3))
        if "waiting" in said:
            sentence, good = _of_queue(said, report)
        elif report is None:
            sentence, good = str(said.get("stderr") or NOBODY_KNOWS).strip(), False
        else:
            sentence, good = _sentence(report), code == COMPLETE
        searched = report is not None and code in (COMPLETE, ATTENTION)
        told.append(
            {
                "host": each["host"],
                "what": each["what"],
                "sentence": sentence,
                "good": good or (check_mode and searched),
            }
        )
    return told


def erasure_found(text: object) -> int:
    """Return how many events of the person a command has found; 0 when it has said nothing that can be read."""
    return sum(int(place["found"]) for place in (_report(text) or {"places": []})["places"])


def _report(text: object) -> dict[str, Any] | None:
    try:
        report = json.loads(str(text))
    except ValueError:
        return None
    return report if isinstance(report, dict) and "places" in report else None


def _sentence(report: dict[str, Any]) -> str:
    words = ("searched", "found", "anonymised", "deleted", "held", "left")
    parts = [f"{place['place']}: " + ", ".join(f"{place[word]} {word}" for word in words) for place in report["places"]]
    return " ".join(["; ".join(parts) + ".", *report["errors"]])


def _of_queue(said: dict[str, Any], report: dict[str, Any] | None) -> tuple[str, bool]:
    waiting = str(said["waiting"])
    if waiting != "0":
        return f"{waiting} events wait for Elasticsearch, and the person may be in them.", False
    if report is None or report["errors"]:
        problem = said.get("stderr") if report is None else " ".join(report["errors"])
        return f"its files could not be searched. {problem}".strip(), False
    found = erasure_found(said["stdout"])
    if said.get("restart"):
        return (
            f"{found} events of the person are delivered and still in its files. The ingest could not be restarted, look at the service "
            f"logbastion-ingest there: {said['restart']}",
            False,
        )
    if found:
        return (
            f"{found} events of the person are delivered and still in its files. A run without --check restarts the ingest, "
            "which removes them if nothing waits at that moment. If they stay after another run, look at the service logbastion-ingest there.",
            False,
        )
    return "nothing of the person is in its files.", True


class FilterModule:
    """For the playbook."""

    @staticmethod
    def filters() -> dict[str, Any]:
        """Return the filters by name."""
        return {"erasure_told": erasure_told, "erasure_found": erasure_found}
