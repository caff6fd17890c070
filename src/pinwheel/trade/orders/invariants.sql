-- promise: an order's figures add up
select o.id, o.number, o.total_minor from orders."order" o
 where o.total_minor <> o.goods_minor - o.discount_minor + o.delivery_minor
                        + case when o.tax_included then 0 else o.tax_minor end;

-- promise: the lines are the whole order
select o.id, o.number from orders."order" o
  left join (select cell, order_id, sum(goods_minor) as goods, sum(discount_minor) as discount,
                    sum(tax_minor) as tax, sum(total_minor) as total
               from orders.line group by cell, order_id) l on l.cell = o.cell and l.order_id = o.id
 where (l.goods, l.discount, l.tax + o.delivery_tax_minor) is distinct from
       (o.goods_minor::numeric, o.discount_minor::numeric, o.tax_minor::numeric)
    or l.total + o.delivery_minor + case when o.tax_included then 0 else o.delivery_tax_minor end
       <> o.total_minor;

-- promise: nothing is placed that is not paid for
select id, number, secured_minor, total_minor from orders."order"
 where state in ('placed', 'shipped', 'delivered') and secured_minor < total_minor;

-- promise: what is still to be sent is reserved, piece by piece
select l.order_id, l.line, l.quantity - l.cancelled - l.shipped as open, h.remaining, h.state
  from orders.line l
  join orders."order" o on o.cell = l.cell and o.id = l.order_id and o.state = 'placed'
  left join ledger.v_hold h on h.cell = l.cell and h.hold_id = l.hold_id
 where l.quantity - l.cancelled - l.shipped
       <> coalesce(case when h.state = 'open' then h.remaining end, 0);

-- promise: an order that has ended holds nothing; a right that was used up by what arrived stays used
select o.id, o.number, h.hold_id, h.key from orders."order" o
  join ledger.v_hold h on h.cell = o.cell and h.document_id = o.id and h.state = 'open'
 where (o.state = 'cancelled' and h.key not like 'payment:%')
    or (o.state = 'delivered' and h.key ~ '^([0-9]+|budget):');

-- promise: no order waits for its payment without end; at a counter, not longer than it may
select o.id, o.number, o.placed_at from orders."order" o
  left join payments.v_cash_due d on d.cell = o.cell and d.order_id = o.id
 where o.state = 'pending_payment' and coalesce(d.due_at, o.placed_at) < $now - interval '1 hour';

-- promise: what was shipped is what the parcels hold
select l.order_id, l.line, l.shipped from orders.line l
  left join (select s.cell, s.order_id, (part ->> 0)::int as line, sum((part ->> 1)::bigint) as sent
               from orders.shipment s, jsonb_array_elements(s.lines) as part
              group by s.cell, s.order_id, 3) p
         on p.cell = l.cell and p.order_id = l.order_id and p.line = l.line
 where l.shipped <> coalesce(p.sent, 0);

-- promise: a buyer's deposit is used up when the order has ended: earned, or on its way back
with moved as (
  select cell, document_id,
         sum(case when credit like 'deposits:%' then amount else 0 end)
         - sum(case when debit like 'deposits:%' then amount else 0 end) as left_over
    from ledger.v_posting
   where document_kind = 'order' and (credit like 'deposits:%' or debit like 'deposits:%')
   group by cell, document_id),
on_the_way as (
  select cell, order_id, sum(case when kind = 'refund' then amount_minor else 0 end) as refunds,
         bool_or(kind <> 'refund') as more
    from payments.v_instruction where state = 'asked' group by cell, order_id)
select o.id, o.number, o.state, m.left_over, w.refunds from orders."order" o
  join moved m on m.cell = o.cell and m.document_id = o.id
  left join on_the_way w on w.cell = o.cell and w.order_id = o.id
 where o.state in ('cancelled', 'shipped', 'delivered') and not coalesce(w.more, false)
   and m.left_over <> coalesce(w.refunds, 0)
   and not exists (select from payments.v_instruction f
                    where f.cell = o.cell and f.order_id = o.id and f.state = 'failed');

-- promise: a discount that a budget pays for is reserved or spent, for every piece that stays with the buyer
with gone as (
  select cell, order_id, offer_id, sum(quantity) as whole, sum(cancelled + returned) as gone
    from orders.line group by cell, order_id, offer_id),
paid as (
  select d.cell, d.order_id, d.offer_id, d.source, d.source_id, d.budget_id,
         coalesce((select sum(case when p.debit = 'budget:' || d.budget_id || ':spent' then p.amount
                              else -p.amount end) from ledger.v_posting p
                    where p.cell = d.cell and p.document_id = d.order_id and starts_with(p.key, k.key)), 0) as spent,
         coalesce((select sum(h.remaining) from ledger.v_hold h
                    where h.cell = d.cell and h.document_id = d.order_id and h.state = 'open'
                      and h.key in (k.key, k.key || ':again')), 0) as reserved
    from orders.discount d
    cross join lateral (select 'budget:' || d.budget_id || ':' || d.source || ':' || d.source_id || ':'
                               || d.offer_id as key) k
   where d.budget_id is not null)
select o.id, o.number, o.state, d.source, d.amount_minor, p.spent, p.reserved, g.gone, g.whole
  from orders.discount d
  join orders."order" o on o.cell = d.cell and o.id = d.order_id
  join paid p on (p.cell, p.order_id, p.offer_id, p.source, p.source_id, p.budget_id)
                 = (d.cell, d.order_id, d.offer_id, d.source, d.source_id, d.budget_id)
  join gone g on (g.cell, g.order_id, g.offer_id) = (d.cell, d.order_id, d.offer_id)
 where (o.state in ('placed', 'shipped', 'delivered')
        and p.spent + p.reserved < d.amount_minor - div(d.amount_minor * g.gone, g.whole))
    or (o.state = 'cancelled' and o.cancelled_at < $now - interval '15 minutes' and p.spent + p.reserved <> 0);

-- promise: what a budget spent on an order stands there as a discount
select p.document_id, p.key, p.amount from ledger.v_posting p
 where p.document_kind = 'order' and p.key like 'budget:%'
   and not exists (select from orders.discount d
                    where d.cell = p.cell and d.order_id = p.document_id
                      and d.budget_id = split_part(p.key, ':', 2)::uuid
                      and d.offer_id = split_part(p.key, ':', 5)::uuid);

-- promise: what is held for an order ends with the order, not by a deadline of its own
select h.hold_id, h.document_id, h.key, h.expires_at from ledger.v_hold h
 where h.document_kind = 'order' and h.state = 'open' and h.expires_at is not null;
