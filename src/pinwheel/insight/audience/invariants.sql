-- promise: what is known of a buyer is what their orders that stand add up to
select s.person_id, s.market, s.net_minor, p.net_minor as of_orders
  from audience.spend s
  full join (select cell, person_id, market, sum(net_minor) as net_minor, count(*) as orders
               from audience.purchase where stands group by cell, person_id, market) p
    using (cell, person_id, market)
 where s.net_minor is distinct from p.net_minor or s.orders is distinct from p.orders;

-- promise: an order counts for nobody but the person it belongs to
select order_id, array_agg(person_id) as person_ids from audience.purchase
 group by cell, order_id having count(*) > 1;

-- promise: nobody who is erased is known here
select e.person_id from identity.v_erased e
 where exists (select from audience.person p where p.cell = e.cell and p.person_id = e.person_id)
    or exists (select from audience.membership m where m.cell = e.cell and m.person_id = e.person_id)
    or exists (select from audience.activity a where a.cell = e.cell and a.person_id = e.person_id)
    or exists (select from audience.rfm r where r.cell = e.cell and r.person_id = e.person_id)
    or exists (select from audience.ltv v where v.cell = e.cell and v.person_id = e.person_id);

-- promise: a person is in a segment once at a time, and an archived segment that was counted has nobody
select s.id, m.person_id from audience.segment s
  join audience.membership m on m.cell = s.cell and m.segment_id = s.id and m.left_at is null
 where s.archived_at is not null and s.computed = s.version;
