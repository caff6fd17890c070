-- promise: what a promotion takes off an order is what is booked on its lines
select u.order_id, u.promotion_id, u.off_minor, d.off from promotions.use u
  left join (select cell, order_id, source_id, sum(amount_minor) as off from orders.v_discount
              where source = 'promotion' group by cell, order_id, source_id) d
    on d.cell = u.cell and d.order_id = u.order_id and d.source_id = u.promotion_id
 where u.off_minor <> coalesce(d.off, 0);

-- promise: no promotion's discount without its use
select d.order_id, d.source_id from orders.v_discount d
  left join promotions.use u
    on u.cell = d.cell and u.order_id = d.order_id and u.promotion_id = d.source_id
 where d.source = 'promotion' and u.order_id is null;

-- promise: an order's discounts are what came off its lines, and never more than the goods cost
select o.id, o.number, o.discount_minor, o.goods_minor, d.off from orders."order" o
  left join (select cell, order_id, sum(amount_minor) as off from orders.v_discount
              group by cell, order_id) d on d.cell = o.cell and d.order_id = o.id
 where o.discount_minor <> coalesce(d.off, 0) or o.discount_minor > o.goods_minor;

-- promise: a limited promotion is used no more often than it says
select p.id, u.uses from promotions.promotion p
  join (select u.promotion_id, count(*) as orders, sum(u.pieces) as pieces,
               case when p.terms -> 'limits' ->> 'counts' = 'pieces' then sum(u.pieces)
                    else count(*) end as uses
          from promotions.use u join promotions.promotion p on p.id = u.promotion_id
         where exists (select from orders.v_line l where l.cell = u.cell and l.order_id = u.order_id
                                                     and l.state <> 'cancelled')
         group by u.promotion_id, p.terms) u on u.promotion_id = p.id
 where u.uses > (p.terms -> 'limits' ->> 'uses')::bigint;

-- promise: an order that stands holds what it uses, or has used it
select u.order_id, u.promotion_id from promotions.use u
  join promotions.promotion p on p.id = u.promotion_id
 where p.terms -> 'limits' ->> 'uses' is not null
   and u.pieces > 0
   and exists (select from orders.v_line l where l.cell = u.cell and l.order_id = u.order_id
                                             and l.state <> 'cancelled')
   and not exists (select from ledger.v_hold h
                    where h.cell = u.cell and h.document_id = u.order_id
                      and h.key like 'use:' || u.promotion_id || ':%'
                      and h.state in ('open', 'committed'));

-- promise: who is called has a piece put aside, for one turn at a time
select w.id, w.promotion_id from promotions.waiting w
 where w.state in ('called', 'bought', 'missed')
   and not exists (select from ledger.v_posting g
                    where g.cell = w.cell and g.document_id = w.id and g.key = 'called');

-- promise: whoever may still have a deal's price finds a piece put aside for it
select p.id, b.available - b.floor as left, coalesce(t.pieces, 0) as turns, coalesce(e.free, 0) as aside
  from promotions.promotion p
  join ledger.account a on a.code = 'uses:' || p.id || ':pool'
  join ledger.v_balance b on b.cell = a.cell and b.account_id = a.id
  left join (select document_id, sum(free) as free from inventory.v_earmark group by document_id) e
    on e.document_id = p.id
  left join lateral (
    select sum(tb.available) as pieces from promotions.waiting w
      join ledger.account ta on ta.cell = w.cell and ta.code = 'uses:' || p.id || ':turn:' || w.id
      join ledger.v_balance tb on tb.cell = ta.cell and tb.account_id = ta.id
     where w.promotion_id = p.id and w.state = 'called') t on true
 where p.is_deal and p.state = 'active' and p.ends_at > $now
   and coalesce(e.free, 0) < b.available - b.floor + coalesce(t.pieces, 0);

-- promise: no more is put aside for a deal than it sells
select p.id, e.pieces from promotions.promotion p
  join (select document_id, sum(pieces) as pieces from inventory.v_earmark group by document_id) e
    on e.document_id = p.id
 where p.is_deal and e.pieces > (p.terms -> 'limits' ->> 'uses')::bigint;

-- promise: a deal that is over keeps nothing that no order has
select p.id, p.ends_at, e.node, e.free from promotions.promotion p
  join inventory.v_earmark e on e.document_id = p.id and e.free > 0
 where p.is_deal and (p.state = 'stopped' or p.ends_at < $now - interval '5 minutes');
