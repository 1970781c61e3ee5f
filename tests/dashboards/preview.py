"""Draws the previews in `docs/dashboards`: starts Elasticsearch and the example, asks what the dashboards ask, writes a picture of each. `make dashboard-previews`."""

import sys
from pathlib import Path

from lab import elasticsearch_process
from tests.dashboards import drawing, example_data, saved_objects
from tests.dashboards.answers import Answers, fullest_request, narrowed

DIRECTORY = Path(__file__).resolve().parents[2] / "docs/dashboards"
ENVIRONMENT = "production"


def main() -> int:
    """Draw all; takes a minute or two."""
    print("Starting Elasticsearch ...", flush=True)
    with elasticsearch_process.running() as node:
        print("Letting the example log for a while ...", flush=True)
        print(f"Stored: {example_data.load(node, ENVIRONMENT)}", flush=True)
        draw_all(node, ENVIRONMENT, DIRECTORY)
    return 0


def draw_all(node: elasticsearch_process.Node, environment: str, directory: Path) -> list[Path]:
    """Draw each dashboard from what is stored of an environment; return the files."""
    objects, ask = saved_objects.read(), example_data.asking(node, environment)
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for dashboard in saved_objects.of_kind(objects, "dashboard"):
        file = directory / f"{dashboard['id'].removeprefix('logbastion-')}.png"
        if dashboard["id"] == "logbastion-request":
            one = fullest_request(ask)
            drawing.draw(dashboard, objects, Answers(narrowed(ask, one), objects), file, f"correlation_id: {one}")
        else:
            drawing.draw(dashboard, objects, Answers(ask, objects), file)
        print(f"written: {file}", flush=True)
        files.append(file)
    return files


if __name__ == "__main__":
    sys.exit(main())
