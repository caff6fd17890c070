-- What is held for an order or a deposit ends with it (decision 0021). Holds of who is just paying would run out by themselves.
update ledger.hold set expires_at = null
 where state = 'open' and expires_at is not null and document_kind in ('order', 'bigday_deposit');
create index deposit_pending on bigdays.deposit (placed_at, cell) where state = 'pending';
