"""The check of pipelines is run on hosts by itself, not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "files"))
