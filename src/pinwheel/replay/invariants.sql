-- promise: every replayed document is in the ledger exactly as the file says, in units and in money
with booked as (
  select p.cell, p.document_id,
         sum(case when p.debit like 'stock:%:sold' or p.credit like 'stock:%:written_off'
                    or p.debit like 'adjusted:%' then p.amount else 0 end)
         - sum(case when p.credit like 'stock:%:sold' or p.debit like 'stock:%:written_off'
                      or p.credit like 'adjusted:%' then p.amount else 0 end) as units,
         sum(case when p.credit like any (array['sales:%', 'payable:%', 'delivery:%', 'adjustment:%'])
                  then p.amount else 0 end)
         - sum(case when p.debit like any (array['sales:%', 'payable:%', 'delivery:%', 'adjustment:%'])
                    then p.amount else 0 end) as revenue
    from ledger.v_posting p
   where p.document_id in (select document_id from replay.entry)
   group by p.cell, p.document_id),
said as (
  select cell, document_id, min(reference) as reference, sum(units) as units,
         sum(revenue_minor) as revenue
    from replay.entry group by cell, document_id)
select s.reference, s.document_id, s.units, b.units as booked_units, s.revenue,
       b.revenue as booked_revenue
  from said s left join booked b on b.cell = s.cell and b.document_id = s.document_id
 where s.units <> coalesce(b.units, 0) or s.revenue <> coalesce(b.revenue, 0);
