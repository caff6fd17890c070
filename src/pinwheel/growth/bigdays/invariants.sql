-- promise: deposits with us are the open pre-sales, to the cent
select d.id, d.state, d.deposit_minor, d.lent_minor, b.posted
  from bigdays.deposit d
  left join ledger.account a on a.code = 'bigday:deposit:' || d.id
  left join ledger.v_balance b on b.cell = d.cell and b.account_id = a.id
 where d.state in ('held', 'pending', 'unpaid', 'forfeited')
   and coalesce(b.posted, 0) <> case when d.state <> 'held' then 0
                                     when d.order_id is null then d.deposit_minor
                                     else d.deposit_minor - d.lent_minor end;

-- promise: a held deposit keeps its piece
select d.id from bigdays.deposit d
 where d.state = 'held'
   and not exists (select from ledger.v_hold h where h.cell = d.cell and h.document_id = d.id
                      and h.key = 'piece' and h.state = 'open' and h.remaining = 1);

-- promise: a deposit that has ended keeps no piece
select d.id, d.state from bigdays.deposit d
  join ledger.v_hold h on h.cell = d.cell and h.document_id = d.id and h.key = 'piece' and h.state = 'open'
 where d.state in ('unpaid', 'returned', 'forfeited');

-- promise: an admission is for one order
select h.key, count(*) as orders from ledger.v_hold h
  join orders.v_purchase o on o.cell = h.cell and o.order_id = h.document_id
   and o.state in ('placed', 'shipped', 'delivered')
 where h.key like 'admission:%' group by h.cell, h.key having count(*) > 1;

-- promise: numbers are admitted once and none is left out before a later one
select p.event_id, p.number, e.head from bigdays.place p
  join bigdays.event e on e.cell = p.cell and e.id = p.event_id
 where p.state = 'waiting' and p.number <= e.head;

-- promise: no order has an event's deal price outside its minutes
select u.order_id, u.promotion_id, u.used_at from bigdays.deal d
  join promotions.v_use u on u.cell = d.cell and u.promotion_id = d.promotion_id
 where u.used_at < d.starts_at or u.used_at >= d.ends_at;

-- promise: a balance that was not paid in time has ended within a quarter of an hour, or its order is being paid
select d.id, d.balance_until from bigdays.deposit d
 where d.state = 'held' and d.order_id is null and d.balance_until < $now - interval '15 minutes';

-- promise: every deposit whose balance is not ordered has its piece put aside
select k.promotion_id, k.kept, b.available - b.floor as left, coalesce(e.free, 0) as aside
  from (select cell, promotion_id, count(*) as kept from bigdays.deposit
         where state in ('pending', 'held') and order_id is null group by cell, promotion_id) k
  join promotions.v_promotion p on p.promotion_id = k.promotion_id and p.state = 'active' and p.ends_at > $now
  join ledger.account a on a.cell = k.cell and a.code = 'uses:' || k.promotion_id || ':pool'
  join ledger.v_balance b on b.cell = a.cell and b.account_id = a.id
  left join (select document_id, sum(free) as free from inventory.v_earmark group by document_id) e
    on e.document_id = k.promotion_id
 where coalesce(e.free, 0) < b.available - b.floor + k.kept;
