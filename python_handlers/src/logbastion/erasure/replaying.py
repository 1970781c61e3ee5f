"""Erasures are made again in what comes back from an archive: it may be from before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from logbastion.erasure.files import LogFiles
from logbastion.erasure.ledger import Ledger, LedgerError
from logbastion.erasure.manager import ErasureError, GDPRLogManager
from logbastion.erasure.place import Progress
from logbastion.pseudonyms import Pseudonymizer
from logbastion.retention.restoring import AfterRestore, RestoreError


def replay_in_restored(ledger: Ledger, keys: Pseudonymizer | None, progress: Progress | None = None) -> AfterRestore:
    """Return a function for :func:`logbastion.retention.restoring.call_after_restore`.

    Args:
        ledger: of the erasures.
        keys: of pseudonyms that are there now.
        progress: is told how far the work is.

    Returns:
        The function; it raises ``RestoreError`` when something of a person is left in the restored files, or could not
        be searched.

    """

    def replay(_: Path, paths: Sequence[Path]) -> None:
        if not paths:
            return
        places = [LogFiles(directory) for directory in sorted({path.parent for path in paths})]
        manager = GDPRLogManager(places, keys=keys, ledger=ledger, progress=progress)
        try:
            for one in ledger.erasures():
                if one.can_be_replayed:
                    manager.replay(one.erasure_id)
        except (ErasureError, LedgerError) as error:
            raise RestoreError(
                f"the files were restored, but people who were erased since may be in them: {error}"
            ) from error

    return replay
