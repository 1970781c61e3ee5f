"""What the lab says while it works: one line a step, with the seconds it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

# In a file or a CI log there is no width to keep to, and a cut URL is of no use.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print `title` before the block and how long it took after it; what the block raises goes through."""
    console.print(f"[bold]==>[/bold] {title}")
    started = time.monotonic()
    yield
    console.print(f"    done in {time.monotonic() - started:.0f} s", style="dim")
