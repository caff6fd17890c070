-- promise: never is more refunded than captured, nor captured than authorised
select id, authorised_minor, captured_minor, refunded_minor from payments.payment
 where refunded_minor > captured_minor or captured_minor > authorised_minor;

-- promise: no payment takes more than was asked for
select id, amount_minor, captured_minor from payments.payment where captured_minor > amount_minor;

-- promise: a payment's state follows from its amounts
select id, state, authorised_minor, captured_minor, is_voided from payments.payment
 where (state = 'captured') <> (captured_minor > 0)
    or (state in ('authorised', 'voided')) <> (authorised_minor > 0 and captured_minor = 0)
    or (state = 'voided' and not is_voided)
    or (state = 'failed' and is_secured);

-- promise: what was refunded is the sum of the refunds that are in the books
select p.id, p.refunded_minor, sum(i.amount_minor) as refunds from payments.payment p
  left join payments.instruction i on i.cell = p.cell and i.payment_id = p.id
   and i.kind = 'refund' and i.is_posted
 group by p.cell, p.id having p.refunded_minor <> coalesce(sum(i.amount_minor), 0);

-- promise: money at the provider = captured − refunded − chargebacks + won back − fees − payouts
with here as (
  select provider, currency,
         sum(captured_minor - refunded_minor - disputed_minor + won_minor) as net
    from payments.payment where provider not in ('store_credit', 'gift_card', 'cash') group by provider, currency),
gone as (
  select provider, currency,
         sum(fee_minor + case when kind in ('fee', 'payout') then amount_minor else 0 end) as net
    from payments.settlement_row group by provider, currency),
wanted as (
  select 'clearing:' || provider || ':' || currency as code,
         coalesce(here.net, 0) - coalesce(gone.net, 0) as minor
    from here full join gone using (provider, currency)),
moved as (
  select a.code, coalesce(sum(case when t.debit_id = a.id then t.amount else -t.amount end), 0)
         as minor
    from ledger.account a
    left join ledger.transfer t on t.cell = a.cell and (t.debit_id = a.id or t.credit_id = a.id)
   where a.code like 'clearing:%' group by a.code)
select code, coalesce(wanted.minor, 0) as payments, coalesce(moved.minor, 0) as ledger
  from wanted full join moved using (code)
 where coalesce(wanted.minor, 0) <> coalesce(moved.minor, 0);

-- promise: a payment that is older than an hour has ended; one in cash within an hour of its deadline
select p.id, p.provider, p.state, p.created_at from payments.payment p
  left join payments.cash_due d on d.cell = p.cell and d.payment_id = p.id
 where p.state in ('processing', 'unknown', 'needs_action')
   and coalesce(d.due_at, p.created_at) < $now - interval '1 hour';

-- promise: what nobody wants is given back within a day, or a refused refund tells why not
select p.id, p.captured_minor, p.refunded_minor from payments.payment p
 where p.is_unwanted and p.updated_at < $now - interval '1 day'
   and p.captured_minor - p.refunded_minor - p.disputed_minor + p.won_minor > 0
   and not exists (select from payments.instruction i where i.cell = p.cell and i.payment_id = p.id
                      and i.kind = 'refund' and i.state = 'failed');

-- promise: an instruction is answered within a day
select id, payment_id, kind, created_at from payments.instruction
 where state = 'asked' and created_at < $now - interval '1 day';

-- promise: a refund that came before its capture is in the books within an hour
select id, kept_minor from payments.payment
 where kept_minor > 0 and updated_at < $now - interval '1 hour';

-- promise: no card number is kept where a token belongs
select id from payments.method where token ~ '^[0-9 -]{13,23}$';

-- promise: what is on a gift card was put there, less what orders paid with it and what ended it; the liability is the sum of these
with paid as (
  select cell, method, sum(captured_minor - refunded_minor) as minor from payments.payment
   where provider = 'gift_card' group by cell, method),
ended as (
  select cell, document_id, sum(amount) as minor from ledger.v_posting
   where document_kind = 'gift_card' and debit = 'gift_card:' || document_id || ':' || unit
   group by cell, document_id),
passed as (
  select cell, credit as code, sum(amount) as minor from ledger.v_posting
   where document_kind = 'gift_card' and key like 'passed on:%' group by cell, credit),
wanted as (
  select 'gift_card:' || c.id || ':' || c.currency as code,
         c.face_minor - coalesce(p.minor, 0) - coalesce(e.minor, 0) + coalesce(i.minor, 0) as minor
    from payments.gift_card c
    left join passed i on i.cell = c.cell and i.code = 'gift_card:' || c.id || ':' || c.currency
    left join paid p on p.cell = c.cell and p.method = c.id::text
    left join ended e on e.cell = c.cell and e.document_id = c.id),
moved as (
  select a.code, coalesce(sum(case when t.credit_id = a.id then t.amount else -t.amount end), 0)
         as minor
    from ledger.account a
    left join ledger.transfer t on t.cell = a.cell and (t.debit_id = a.id or t.credit_id = a.id)
   where starts_with(a.code, 'gift_card:') group by a.code)
select code, coalesce(wanted.minor, 0) as cards, coalesce(moved.minor, 0) as ledger
  from wanted full join moved using (code)
 where coalesce(wanted.minor, 0) <> coalesce(moved.minor, 0);

-- promise: a gift card that has ended is good for nothing
select c.id, c.state, b.posted from payments.gift_card c
  join ledger.account a on a.cell = c.cell and a.code = 'gift_card:' || c.id || ':' || c.currency
  join ledger.balance b on b.cell = a.cell and b.account_id = a.id
 where c.state = 'expired' and b.posted <> 0;

-- promise: a gift card past its last day by more than a day is booked as expired, unless an open order still holds a part of it
select c.id, c.expires_on from payments.gift_card c
  join ledger.account a on a.cell = c.cell and a.code = 'gift_card:' || c.id || ':' || c.currency
  join ledger.balance b on b.cell = a.cell and b.account_id = a.id
 where c.state = 'open' and c.expires_on < ($now - interval '1 day')::date and b.held = 0;

-- promise: what is in a till is its change, what its receipts say and what its counts booked
with moved as (
  select a.cell, split_part(a.code, ':', 2)::uuid as till_id,
         coalesce(sum(case when t.debit_id = a.id then t.amount else -t.amount end), 0) as minor
    from ledger.account a
    left join ledger.transfer t on t.cell = a.cell and (t.debit_id = a.id or t.credit_id = a.id)
   where starts_with(a.code, 'till:') group by a.cell, a.code),
change as (
  select cell, document_id as till_id, sum(amount) as minor from ledger.v_posting
   where document_kind = 'till' and key like 'float:%' group by cell, document_id),
receipt as (
  select cell, till_id, sum(case when kind = 'taken' then amount_minor else -amount_minor end) as minor
    from payments.till_receipt group by cell, till_id),
counted as (
  select cell, till_id, sum(counted_minor - expected_minor - banked_minor) as minor
    from payments.till_count group by cell, till_id)
select t.id, t.name, coalesce(m.minor, 0) as ledger from payments.till t
  left join moved m on m.cell = t.cell and m.till_id = t.id
  left join change f on f.cell = t.cell and f.till_id = t.id
  left join receipt r on r.cell = t.cell and r.till_id = t.id
  left join counted c on c.cell = t.cell and c.till_id = t.id
 where coalesce(m.minor, 0) <> coalesce(f.minor, 0) + coalesce(r.minor, 0) + coalesce(c.minor, 0);

-- promise: a payment in cash is what a clerk took, against one receipt
select p.id, p.captured_minor, r.amount_minor from payments.payment p
  left join payments.till_receipt r on r.cell = p.cell and r.payment_id = p.id and r.kind = 'taken'
 where p.provider = 'cash' and p.captured_minor <> coalesce(r.amount_minor, 0);

-- promise: receipts are numbered without a gap
select t.id, t.last_receipt, count(r.number) from payments.till t
  left join payments.till_receipt r on r.cell = t.cell and r.till_id = t.id
 group by t.cell, t.id, t.last_receipt having t.last_receipt <> count(r.number);
