"""Makes causes and follows their alerts: pending, firing, at the receiver, over."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass

from lab.errors import LabError
from lab.fire.causes import Cause, Expected
from lab.fire.watch import Watch
from lab.progress import console


@dataclass
class Result:
    """Seconds of one alert; None for what did not happen. `resolved` is counted from the end of its cause, the others from its beginning."""

    alert: str
    happens: str
    stand_in: str = ""
    pending: float | None = None
    firing: float | None = None
    received: float | None = None
    undone: float | None = None
    resolved: float | None = None
    ends: bool = True
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether it was received, and is over."""
        return self.received is not None and (self.resolved is not None or not self.ends) and not self.error

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON, seconds to one digit."""
        values = {key: round(value, 1) if isinstance(value, float) else value for key, value in asdict(self).items()}
        return {**values, "good": self.good}


class Stopped(Exception):  # noqa: N818 (it is none of an error: somebody wants to end)
    """Somebody has interrupted the run: undo, and begin nothing more."""


class Follower:
    """Runs causes against one watch.

    Args:
        watch: that goes on already.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.stop = threading.Event()

    def tracks(self, tracks: Sequence[Sequence[Cause]]) -> list[Result]:
        """Run tracks side by side, the causes of each one after the other; return all results, in order.

        Raises:
            KeyboardInterrupt: after everything has been undone.
        """
        with ThreadPoolExecutor(max(len(tracks), 1)) as pool:
            futures = [pool.submit(self._track, track) for track in tracks]
            try:
                return [result for future in futures for result in future.result()]
            except KeyboardInterrupt:
                self.stop.set()
                console.print("Interrupted: undoing what was made.")
                raise

    def _track(self, causes: Sequence[Cause]) -> list[Result]:
        endings: list[list[Result] | Future[list[Result]]] = []
        with ThreadPoolExecutor(max(len(causes), 1)) as pool:
            for cause in causes:
                if self.stop.is_set():
                    break
                results, began, ended = self._make(cause)
                if cause.ends_beside:
                    endings.append(pool.submit(self._ends, cause, results, began, ended))
                else:
                    endings.append(self._ends(cause, results, began, ended))
            return [
                result for ending in endings for result in (ending.result() if isinstance(ending, Future) else ending)
            ]

    def _make(self, cause: Cause) -> tuple[list[Result], float, float]:
        """Make a cause, wait for its alerts, undo it. What goes wrong stands in the results."""
        results = [Result(each.name, cause.happens, cause.stand_in, ends=each.ends) for each in cause.alerts]
        began = time.time()
        try:
            self._wait(lambda: self._quiet(cause), began + cause.within)
            began = time.time()
            console.print(f"[bold]==>[/bold] {cause.happens}")
            with cause.made():
                for expected, result in zip(cause.alerts, results, strict=True):
                    if not expected.after:
                        self._wait_for(expected, result, began, began + cause.within)
        except (LabError, Stopped, OSError) as error:
            for result in results:
                result.error = result.error or str(error) or "interrupted"
        return results, began, time.time()

    def _quiet(self, cause: Cause) -> float | None:
        """Say that none of its alerts is there already, as from an earlier cause: the receiver would not be told of it again."""
        return None if any(self._watch.is_active(each.name, each.labels) for each in cause.alerts if each.ends) else 0.0

    def _ends(self, cause: Cause, results: list[Result], began: float, ended: float) -> list[Result]:
        for expected, result in zip(cause.alerts, results, strict=True):
            result.undone = ended - began
            try:
                if expected.after and not result.error:
                    self._wait_for(expected, result, began, ended + cause.within)
                if result.received is not None and expected.ends:
                    over = self._wait(
                        lambda e=expected: self._watch.is_over(e.name, e.labels, began),  # type: ignore[misc]
                        max(ended, time.time() if expected.after else 0) + cause.within,
                    )
                    result.resolved = None if over is None else max(0.0, over - ended)
            except Stopped:
                result.error = "interrupted"
            _tell(result)
        return results

    def _wait_for(self, expected: Expected, result: Result, began: float, deadline: float) -> None:
        seen = self._wait(lambda: self._first("received", expected, began), deadline)
        result.received = seen
        result.firing = self._first("firing", expected, began)
        result.pending = self._first("pending", expected, began)

    def _first(self, state: str, expected: Expected, began: float) -> float | None:
        sight = self._watch.first(state, expected.name, expected.labels, began)
        return None if sight is None else sight.when - began

    def _wait(self, look: Callable[[], float | None], deadline: float) -> float | None:
        while (found := look()) is None:
            if self.stop.is_set():
                raise Stopped
            if time.time() > deadline:
                return None
            time.sleep(0.3)
        return found


def _tell(result: Result) -> None:
    if result.good:
        over = "" if result.resolved is None else f", over {result.resolved:.0f} s after its cause"
        console.print(f"    {result.alert}: received after {result.received:.0f} s{over}", style="dim")
    else:
        missing = "not received" if result.received is None else "never told that it is over"
        console.print(f"    {result.alert}: [bold red]{result.error or missing}[/bold red]")
