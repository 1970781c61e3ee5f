"""The role's programs, imported from where the role keeps them."""

import sys
from pathlib import Path

FILES = Path(__file__).resolve().parents[1] / "files"
sys.path[:0] = [str(FILES), str(FILES / "deliver")]
