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
    from payments.payment where provider <> 'store_credit' group by provider, currency),
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

-- promise: a payment that is older than an hour has ended
select id, provider, state, created_at from payments.payment
 where state in ('processing', 'unknown', 'needs_action') and created_at < $now - interval '1 hour';

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
