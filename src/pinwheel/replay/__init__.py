"""Replay: a real shop's history, line by line, through the verbs that today's orders take.

Words: a *run* is one file; an *entry* is what the file says of one document in the ledger; a
*listed* line is one that is no order, with the reason.

Promises: every line of the file ends in the ledger exactly once; the ledger's own totals are the
file's; killed at any instant and started again, a run ends the same; run twice, it changes
nothing."""
