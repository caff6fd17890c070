-- promise: revenue in analytics is the ledger's, account by account, to the cent
with books as (
  select cell, account, sum(amount) as minor
    from (select cell, credit as account, amount from ledger.v_posting where document_kind = 'order'
          union all
          select cell, debit, -amount from ledger.v_posting where document_kind = 'order') m
   where account ~ '^(sales|payable|delivery|return_freight|return_withheld|tax):'
   group by cell, account),
counted as (
  select cell, account, sum(amount_minor) as minor from tracking.revenue group by cell, account)
select coalesce(b.account, c.account) as account, b.minor as ledger_minor, c.minor as analytics_minor
  from books b full join counted c on c.cell = b.cell and c.account = b.account
 where coalesce(b.minor, 0) <> coalesce(c.minor, 0);

-- promise: every movement of money is one event in the stream with the same amount, or waits to be unpacked
select r.journal_id, r.account, r.amount_minor
  from tracking.revenue r
 where r.posted_at > $now - interval '395 days'
   and not exists (select from tracking.event e
                    where e.cell = r.cell and e.event_id = r.event_id and e.name = 'revenue_recognised'
                      and (e.properties ->> 'amount_minor')::bigint = r.amount_minor
                      and e.properties ->> 'currency' = r.currency and e.source = 'server')
   and not exists (select from tracking.inbox i where i.cell = r.cell and r.event_id = any(i.event_ids));

-- promise: no event of money comes from anywhere but the server
select event_id, name, source from tracking.event e
 where e.source <> 'server'
   and exists (select from tracking.schema s where s.name = e.name and s.origin = 'server');

-- promise: an event is there once
select event_id, count(*) from tracking.event
 where received_at > $now - interval '8 days' group by cell, event_id having count(*) > 1;

-- promise: nobody's visits belong to two people at one time
select a.visitor_id, a.person_id, b.person_id as other_id
  from tracking.link a
  join tracking.link b on b.cell = a.cell and b.visitor_id = a.visitor_id and b.linked_at > a.linked_at
 where a.undone_at is null and b.undone_at is null and a.until_at > b.from_at;
