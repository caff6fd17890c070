-- promise: a programme's identities and regions have had no more than their share
select b.account_id, b.floor, b.posted, b.held from ledger.v_balance b where b.available < b.floor;

-- promise: what a price match paid is what its budget spent
select m.id, m.paid_minor, coalesce(sum(p.amount), 0) as spent
  from subsidy.match m
  left join ledger.v_posting p on p.cell = m.cell and p.document_id = m.id and p.document_kind = 'price_match'
 where m.state = 'paid' group by m.cell, m.id having coalesce(sum(p.amount), 0) <> m.paid_minor;

-- promise: a subsidised piece was never sold below its target
select d.order_id, d.offer_id, l.total_minor, l.quantity, g.target_minor
  from (select cell, order_id, offer_id, source_id, sum(amount_minor) as paid from orders.v_discount
         where source = 'subsidy' group by cell, order_id, offer_id, source_id) d
  join (select cell, order_id, offer_id, sum(unit_price_minor * quantity) as total_minor,
               sum(quantity) as quantity from orders.v_line group by cell, order_id, offer_id) l
    on (l.cell, l.order_id, l.offer_id) = (d.cell, d.order_id, d.offer_id)
  join subsidy.v_goods g on g.programme_id = d.source_id and g.offer_id = d.offer_id
 where l.total_minor - d.paid < g.target_minor * l.quantity;
