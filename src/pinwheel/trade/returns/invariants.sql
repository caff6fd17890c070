-- promise: no more comes back than was sent
select l.order_id, l.line, l.shipped, l.returned, o.open from orders.v_line l
  left join (select cell, order_id, line,
                    sum(case when state = 'received' then received else quantity end) as open
               from returns.v_return where state in ('requested', 'approved', 'received')
              group by cell, order_id, line) o
         on o.cell = l.cell and o.order_id = l.order_id and o.line = l.line
 where l.returned + coalesce(o.open, 0) > l.shipped;

-- promise: a settled return's money is what its pieces and its delivery carried
select r.id, r.carried_minor, l.goods, r.delivery_minor from returns.rma r
  join (select cell, return_id, sum(net_minor + tax_minor) as goods from returns.line
         group by cell, return_id) l on l.cell = r.cell and l.return_id = r.id
 where r.state = 'refunded' and r.carried_minor <> l.goods + r.delivery_minor;

-- promise: the books hold every settled return to the minor unit
select r.id, r.carried_minor, p.reversed from returns.rma r
  left join (select cell, document_id, key, sum(amount) as reversed from ledger.v_posting
              where document_kind = 'order' and key like 'return:%:settled'
                and credit like 'deposits:%'
              group by cell, document_id, key) p
         on p.cell = r.cell and p.document_id = r.order_id and p.key = 'return:' || r.id || ':settled'
 where r.state = 'refunded' and r.carried_minor <> coalesce(p.reversed, 0);

-- promise: what was refunded in advance is returned for or owed
select r.id, r.state, r.advance_minor, r.owed_minor from returns.rma r
 where (r.state in ('cancelled', 'expired') and r.owed_minor <> r.advance_minor)
    or (r.state in ('requested', 'approved', 'rejected') and r.owed_minor <> 0);

-- promise: graded is what was received, and nothing else
select l.return_id, l.line, l.received, coalesce(g.graded, 0) as graded from returns.line l
  join returns.rma r on r.cell = l.cell and r.id = l.return_id
  left join (select cell, return_id, line, sum(quantity) as graded from returns.grading
              group by cell, return_id, line) g
         on g.cell = l.cell and g.return_id = l.return_id and g.line = l.line
 where coalesce(g.graded, 0) <> case when r.state = 'refunded' then l.received else 0 end;

-- promise: every piece that came back waits for its grade or has found its place
select order_id, return_key, sum(came) as came, sum(taken_in) as taken_in, sum(waiting) as waiting
  from (
    select r.cell, r.order_id, 'return:' || r.id as return_key, l.received as came,
           case r.state when 'received' then l.received else 0 end as should_wait,
           0 as taken_in, 0 as waiting
      from returns.rma r join returns.line l on l.cell = r.cell and l.return_id = r.id
    union all
    select cell, document_id, left(key, 43), 0, 0,
           case when debit like '%:inspection' then amount else 0 end,
           case when debit like '%:inspection' then amount else -amount end
      from ledger.v_posting
     where document_kind = 'order' and key like 'return:%'
       and (debit like '%:inspection' or credit like '%:inspection')) piece
 group by cell, order_id, return_key
having sum(came) <> sum(taken_in) or sum(should_wait) <> sum(waiting);

-- promise: what was received is graded in its days or listed for a person
select r.id, r.number, r.grade_by from returns.rma r
 where r.state = 'received' and r.listed_at is null and r.grade_by < $now - interval '1 hour';

-- promise: no approved return waits without end
select r.id, r.number, r.send_by from returns.rma r
 where r.state = 'approved' and (r.send_by is null or r.send_by < $now - interval '1 hour');

-- promise: a replacement is held until it is let go, and not a moment longer
select e.return_id, e.state, e.quantity, h.state as hold, h.remaining from returns.exchange e
  left join ledger.v_hold h on h.cell = e.cell and h.hold_id = e.hold_id
 where (e.state in ('unpaid', 'waiting') and (h.state is distinct from 'open' or h.remaining <> e.quantity))
    or (e.state = 'ended' and h.state = 'open');

-- promise: what was let go is a line of its order, for the money that was agreed
select e.return_id, e.quantity, l.quantity as sent, e.total_minor, l.total_minor as carries from returns.exchange e
  left join orders.v_line l on l.cell = e.cell and l.order_id = e.order_id and l.line = e.new_line
 where e.state = 'released'
   and (l.quantity, l.total_minor) is distinct from (e.quantity, e.total_minor);

-- promise: what was paid for replacements is kept apart exactly as long as they wait
select w.currency, w.ahead, b.ahead as books from (
    select r.cell, r.currency, sum(case when e.state = 'waiting' then e.pay_minor else 0 end) as ahead
      from returns.exchange e join returns.rma r on r.cell = e.cell and r.id = e.return_id
     where e.pay_minor > 0 group by r.cell, r.currency) w
  left join (select cell, currency, sum(amount) as ahead from (
      select cell, split_part(credit, ':', 2) as currency, amount from ledger.v_posting
       where credit like 'exchange\_deposits:%'
      union all
      select cell, split_part(debit, ':', 2), -amount from ledger.v_posting
       where debit like 'exchange\_deposits:%') t group by cell, currency) b
    on b.cell = w.cell and b.currency = w.currency
 where w.ahead <> coalesce(b.ahead, 0);

-- promise: no replacement is held without end
select return_id, state, until_at from returns.exchange
 where state in ('unpaid', 'waiting') and until_at < $now - interval '1 hour';

-- promise: what is lent to be tried is back, paid for, or still within its days
select t.order_id, t.state, t.lent_minor, t.covered_minor, t.kept_minor, t.until_at from returns.trial t
 where (t.state = 'trying' and t.authorised_until < $now)
    or (t.state in ('charged', 'failed', 'ended') and t.lent_minor <> t.covered_minor + t.kept_minor);

-- promise: the books lend exactly what is being tried
select t.order_id, t.lent_minor - t.covered_minor - t.kept_minor as tried, b.lent from returns.trial t
  left join (select cell, document_id,
                    sum(case when debit like 'return\_advances:%' then amount else -amount end) as lent
               from ledger.v_posting
              where document_kind = 'order'
                and (debit like 'return\_advances:%' or credit like 'return\_advances:%')
              group by cell, document_id) b on b.cell = t.cell and b.document_id = t.order_id
 where t.state in ('placed', 'trying') and t.lent_minor - t.covered_minor <> coalesce(b.lent, 0);
