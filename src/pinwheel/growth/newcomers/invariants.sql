-- promise: no identity keeps a pool's offer more often than the pool allows (a call back has an hour)
select u.cluster_id, w.pool_id, count(*) as wins, p.per_identity
  from newcomers.win w
  join newcomers.pool p on p.cell = w.cell and p.id = w.pool_id
  join trust.v_use u on u.cell = w.cell and u.document_id = w.order_id
       and u.purpose = 'newcomer:' || w.pool_id
  join orders.v_addressed o on o.cell = w.cell and o.order_id = w.order_id and o.state = 'placed'
 where w.state = 'won' and w.won_at < $now - interval '1 hour'
 group by w.cell, u.cluster_id, w.pool_id, p.per_identity
having count(*) > p.per_identity;

-- promise: what was put up of an offer is what is left, held and given
select o.id, o.quantity, b.posted, b.held
  from newcomers.offer o
  join ledger.v_balance b on b.cell = o.cell and b.account_id = o.left_account
 where b.posted <> o.quantity or b.posted < b.held;

-- promise: a won newcomer price belongs to an order that stands
select w.order_id from newcomers.win w
  left join orders.v_addressed o on o.cell = w.cell and o.order_id = w.order_id
 where w.state = 'won' and o.order_id is null;
