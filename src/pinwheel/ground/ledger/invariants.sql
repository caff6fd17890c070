-- promise: both sides of every transfer count in its unit, so every unit sums to zero
select t.journal_id, t.line from ledger.transfer t
  left join ledger.account d on d.cell = t.cell and d.id = t.debit_id and d.unit = t.unit
  left join ledger.account c on c.cell = t.cell and c.id = t.credit_id and c.unit = t.unit
 where d.id is null or c.id is null;

-- promise: every kept balance equals the sum of its transfers
with moved as (
  select cell, account_id, sum(amount) as net from (
    select cell, debit_id as account_id, amount from ledger.transfer
    union all
    select cell, credit_id, -amount from ledger.transfer) s group by cell, account_id)
select a.code, b.posted, coalesce(m.net, 0) * a.side as transfers
  from ledger.balance b
  join ledger.account a on a.cell = b.cell and a.id = b.account_id
  left join moved m on m.cell = b.cell and m.account_id = b.account_id
 where b.posted <> coalesce(m.net, 0) * a.side;

-- promise: what is held on an account equals its open holds
with open_hold as (
  select h.cell, a.id as account_id, sum(h.remaining) as held
    from ledger.hold h
    join ledger.account a on a.cell = h.cell
     and ((a.id = h.debit_id and a.side = -1) or (a.id = h.credit_id and a.side = 1))
   where h.state = 'open' group by h.cell, a.id)
select a.code, b.held, coalesce(o.held, 0) as holds
  from ledger.balance b
  join ledger.account a on a.cell = b.cell and a.id = b.account_id
  left join open_hold o on o.cell = b.cell and o.account_id = b.account_id
 where b.held <> coalesce(o.held, 0);

-- promise: no floor is broken
select a.code, b.posted, b.held, b.floor from ledger.balance b
  join ledger.account a on a.cell = b.cell and a.id = b.account_id
 where b.posted - b.held < b.floor;

-- promise: no hold outlives its deadline by more than a minute
select id, document_kind, document_id, expires_at from ledger.hold
 where state = 'open' and expires_at < $now - interval '1 minute';

-- promise: every journal has transfers, at its own instant
select j.id from ledger.journal j
  left join (select cell, journal_id, min(posted_at) as first_at, max(posted_at) as last_at
               from ledger.transfer group by cell, journal_id) t
    on t.cell = j.cell and t.journal_id = j.id
 where t.journal_id is null or t.first_at <> j.posted_at or t.last_at <> j.posted_at;

-- promise: a snapshot equals the transfers up to it
with last as (select cell, max(at) as at from ledger.snapshot group by cell),
moved as (
  select s.cell, s.account_id, sum(s.amount) as net from (
    select cell, debit_id as account_id, amount, posted_at from ledger.transfer
    union all
    select cell, credit_id, -amount, posted_at from ledger.transfer) s
    join last l on l.cell = s.cell and s.posted_at <= l.at
   group by s.cell, s.account_id)
select a.code, k.at, k.posted from ledger.snapshot k
  join last l on l.cell = k.cell and l.at = k.at
  join ledger.account a on a.cell = k.cell and a.id = k.account_id
  left join moved m on m.cell = k.cell and m.account_id = k.account_id
 where k.posted <> coalesce(m.net, 0) * a.side;
