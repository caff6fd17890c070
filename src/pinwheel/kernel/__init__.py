"""The kernel: the transaction, the clock, jobs, group commit and the edge. It knows nothing of
shops.

Words: a *Tx* is one open transaction with its time and its author; an *Event* is a fact written
in the transaction that made it; a *job* is what follows from it; a *Refusal* is a clear "no"
that changed nothing."""
