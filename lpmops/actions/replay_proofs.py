"""The prover of a desk: reconciliations of its environment, which the store of this machine remembers."""

from __future__ import annotations

from collections.abc import Sequence

from lpmops.actions.action import Bench
from lpmops.control.reconcile_lease import TakenAwayError
from lpmops.control.reconciled import Asked, Reconciliation
from lpmops.store import proofs
from lpmops.store.connection import Store
from lpmops.store.proofs import OpenGap

# Each try takes the place of whoever looks; a person who begins so often means it.
_TRIES = 5


class StoredProofs:
    """Looks with `reconcile`, and remembers in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def gaps(self, bench: Bench, table_id: str) -> Sequence[OpenGap]:
        """What differed when it was last looked at and was not found whole since. Raises StoreError."""
        # Tables whose id nobody says are known by their name.
        known_as = table_id or bench.environment.databricks.table
        return proofs.gaps(self._store, bench.environment.name, known_as)

    def hold(self, bench: Bench, asked: Asked) -> Reconciliation:
        """Look now, and again where a person who looked meanwhile took the place of this look. Raises what `reconcile` raises."""
        # The app loads the actions at its start and what reads millions of keys when it is needed.
        from lpmops.control.reconcile import reconcile

        tries = 0
        while True:
            try:
                return reconcile(bench.config, bench.environment, bench.services, self._store, asked, now=bench.now)
            except TakenAwayError:
                # What was sent has landed: for want of a look alone no replay is left unfinished.
                if (tries := tries + 1) == _TRIES:
                    raise
