-- promise: no team has more paid members than seats
select t.id, t.seats, count(*) as paid
  from social.team t
  join social.team_member m on m.cell = t.cell and m.team_id = t.id
  join (select distinct cell, order_id, state from orders.v_discount where source = 'team') d
    on d.cell = m.cell and d.order_id = m.order_id
 where t.state in ('open', 'formed') and m.left_at is null and d.state in ('placed', 'shipped', 'delivered')
 group by t.cell, t.id, t.seats having count(*) > t.seats;

-- promise: a team that formed has exactly its seats paid for, by members or by a labelled fill
select t.id, t.seats, t.reached, t.filled, count(m.order_id) as members
  from social.team t
  join social.team_campaign c on c.cell = t.cell and c.id = t.campaign_id
  left join social.team_member m on m.cell = t.cell and m.team_id = t.id and m.left_at is null and m.paid_at is not null
 where t.state = 'formed'
 group by t.cell, t.id, t.seats, t.reached, t.filled, c.policy
having count(m.order_id) <> t.reached or t.reached > t.seats
    or (c.policy <> 'tiered' and t.reached + t.filled <> t.seats);

-- promise: no order of a failed team is kept, nor its money
select t.id, m.order_id, d.state
  from social.team t
  join social.team_member m on m.cell = t.cell and m.team_id = t.id
  join (select distinct cell, order_id, state from orders.v_discount where source = 'team') d
    on d.cell = m.cell and d.order_id = m.order_id
 where t.state = 'failed' and d.state <> 'cancelled';

-- promise: what came in for an order of a failed team went back, or is on its way
select t.id, m.order_id, p.left_minor
  from social.team t
  join social.team_member m on m.cell = t.cell and m.team_id = t.id
  join (select cell, document_id, sum(case when credit like 'deposits:%' then amount else -amount end) as left_minor
          from ledger.v_posting
         where document_kind = 'order' and (credit like 'deposits:%' or debit like 'deposits:%')
         group by cell, document_id) p on p.cell = m.cell and p.document_id = m.order_id
 where t.state = 'failed' and p.left_minor <> 0
   and not exists (select from payments.v_instruction i
                    where i.cell = m.cell and i.order_id = m.order_id and i.state in ('asked', 'failed'));

-- promise: no order waits for a team that has ended
select m.order_id, t.id, t.state
  from social.team t
  join social.team_member m on m.cell = t.cell and m.team_id = t.id and m.left_at is null
  join orders.v_waiting o on o.cell = m.cell and o.order_id = m.order_id and o.waits_for = 'team'
 where t.state in ('formed', 'failed');

-- promise: a person sits once in a team
select m.team_id, m.person_id, count(*) as seats
  from social.team_member m
  join (select distinct cell, order_id, state from orders.v_discount where source = 'team') d
    on d.cell = m.cell and d.order_id = m.order_id and d.state <> 'cancelled'
 where m.left_at is null and m.person_id is not null
 group by m.cell, m.team_id, m.person_id having count(*) > 1;

-- promise: the account of a team's seats is the rows that hold one
select t.id, t.state, t.seats, b.posted, b.held, coalesce(h.open, 0) as holds
  from social.team t
  join ledger.v_balance b on b.cell = t.cell and b.account_id = t.seat_account
  left join (select m.cell, m.team_id, count(*) as open
               from social.team_member m
               join ledger.v_hold h on h.cell = m.cell and h.document_id = m.order_id
                                   and h.key = 'team:seat' and h.state = 'open'
              group by m.cell, m.team_id) h on h.cell = t.cell and h.team_id = t.id
 where b.held <> coalesce(h.open, 0)
    or b.posted <> case when t.state in ('open', 'failing') then t.seats else 0 end;

-- promise: every member of an open team who stands holds a seat
select m.team_id, m.order_id, d.state
  from social.team t
  join social.team_member m on m.cell = t.cell and m.team_id = t.id
  join (select distinct cell, order_id, state from orders.v_discount where source = 'team') d
    on d.cell = m.cell and d.order_id = m.order_id and d.state <> 'cancelled'
  left join ledger.v_hold h on h.cell = m.cell and h.document_id = m.order_id and h.key = 'team:seat' and h.state = 'open'
 where t.state = 'open' and h.hold_id is null;

-- promise: an open team has one leader, if it has anybody
select t.id, count(*) filter (where m.is_leader) as leaders
  from social.team t
  join social.team_member m on m.cell = t.cell and m.team_id = t.id and m.left_at is null
 where t.state = 'open'
 group by t.cell, t.id having count(*) filter (where m.is_leader) <> 1;

-- promise: no team stays open long after its deadline, none is left half refunded
select id, state, closes_at from social.team
 where (state = 'open' and closes_at < $now - interval '15 minutes')
    or (state = 'failing' and ended_at < $now - interval '1 hour');

-- promise: a fill was paid for by its budget
select t.id, t.fill_minor, p.amount
  from social.team t
  left join (select cell, document_id, sum(amount) as amount from ledger.v_posting
              where document_kind = 'team' and key like '%fill%' group by cell, document_id) p
    on p.cell = t.cell and p.document_id = t.id
 where t.fill_minor <> coalesce(p.amount, 0);

-- promise: a bargain's cuts are the first ones of its plan, and the plan is the gap
select b.id, b.helped, b.cut_minor
  from social.bargain b
  left join lateral (
    select count(*) as n, coalesce(sum(h.cut_minor), 0) as cut, bool_and(h.cut_minor = b.cuts[h.number]) as planned
      from social.bargain_help h
     where h.cell = b.cell and h.bargain_id = b.id and h.number is not null) h on true
 where h.n <> b.helped or h.cut <> b.cut_minor or not coalesce(h.planned, true)
    or (select sum(c) from unnest(b.cuts) as c) <> b.list_minor - b.floor_minor
    or (select min(c) from unnest(b.cuts) as c) < 1
    or (b.helped = cardinality(b.cuts)) <> (b.cut_minor = b.list_minor - b.floor_minor);

-- promise: an open bargain has its whole gap put aside, itself or under its waiting order (a cancelled one has minutes)
select b.id, b.list_minor - b.floor_minor as gap, coalesce(h.held, 0) as held
  from social.bargain b
  left join orders.v_discount d on d.cell = b.cell and d.order_id = b.order_id and d.source = 'bargain'
  left join lateral (
    select sum(h.remaining) as held from ledger.v_hold h
     where h.cell = b.cell and h.state = 'open' and starts_with(h.key, 'budget:')
       and (h.document_id = b.id
            or (h.document_id = b.order_id and strpos(h.key, ':bargain:' || b.id) > 0))) h on true
 where b.state in ('running', 'reached') and coalesce(d.state, '') in ('', 'pending_payment')
   and coalesce(h.held, 0) <> b.list_minor - b.floor_minor;

-- promise: a bargain that has ended holds nothing of a budget, and a bought one spent no more than its gap
select b.id, b.state from social.bargain b
 where b.state in ('bought', 'expired') and b.ended_at < $now - interval '15 minutes'
   and (exists (select from ledger.v_hold h where h.cell = b.cell and h.document_id = b.id and h.state = 'open'
                   and starts_with(h.key, 'budget:'))
        or b.order_cut_minor > b.list_minor - b.floor_minor);

-- promise: no bargain stays open long after its time
select id, state, ends_at from social.bargain
 where state in ('running', 'reached') and ends_at < $now - interval '1 hour';

-- promise: the sum of rewards is the ledger: each has given exactly what it says, from its budget too
select r.id, r.state, r.amount_minor, r.reversed_minor, p.cost, p.spent
  from social.reward r
  left join lateral (
    select coalesce(sum(case when p.debit = 'share-rewards:' || r.currency then p.amount
                             when p.credit = 'share-rewards:' || r.currency then -p.amount else 0 end), 0) as cost,
           coalesce(sum(case when p.debit = 'budget:' || r.budget_id || ':spent' then p.amount
                             when p.credit = 'budget:' || r.budget_id || ':spent' then -p.amount else 0 end), 0) as spent
      from ledger.v_posting p where p.cell = r.cell and p.document_id = r.id) p on true
 where r.person_id is not null
   and (p.cost <> case when r.released_at is null then 0 else r.amount_minor - r.reversed_minor end
        or p.spent <> p.cost);

-- promise: what waits is put aside, what does not holds nothing
select r.id, r.state, coalesce(h.held, 0) as held
  from social.reward r
  left join lateral (
    select sum(h.remaining) as held from ledger.v_hold h
     where h.cell = r.cell and h.document_id = r.id and h.state = 'open') h on true
 where coalesce(h.held, 0) <> case when r.state in ('pending', 'review') then r.amount_minor else 0 end;

-- promise: nobody brought themselves, and no circle of three or less
select a.order_id from social.attribution a
  left join social.attribution b on b.cell = a.cell and b.child_person_id = a.parent_person_id
  left join social.attribution c on c.cell = b.cell and c.child_person_id = b.parent_person_id
 where a.child_person_id is not null
   and a.child_person_id in (a.parent_person_id, b.parent_person_id, c.parent_person_id);

-- promise: rewards go two levels up at most, and only for invitations that were not refused
select r.id from social.reward r
  join social.attribution a on a.cell = r.cell and a.order_id = r.root_order_id
 where r.level > 2 or (a.decision = 'deny' and r.state in ('pending', 'released'));

-- promise: a bargain whose stock is reserved finds its piece put aside
select c.id, n.open, n.left, coalesce(e.free, 0) as aside
  from social.bargain_campaign c
 cross join lateral (
   select (select count(*) from social.bargain b
            where b.cell = c.cell and b.campaign_id = c.id and b.state in ('running', 'reached')
              and not exists (select from orders.v_line l where l.cell = b.cell and l.order_id = b.order_id
                                                            and l.state <> 'cancelled')) as open,
          case when c.state = 'running' and (c.ends_at is null or c.ends_at > $now)
               then coalesce((select w.available from ledger.account a
                               join ledger.v_balance w on w.cell = a.cell and w.account_id = a.id
                              where a.cell = c.cell and a.code = 'bargain-campaign:' || c.id || ':pieces'), 0)
               else 0 end as left) n
  left join (select document_id, sum(free) as free from inventory.v_earmark group by document_id) e
    on e.document_id = c.id
 where c.stock = 'reserved' and c.state <> 'draft' and coalesce(e.free, 0) < n.open + n.left;

-- promise: a bargain campaign that is over keeps no piece that nobody can ask for
select c.id, e.free, n.open from social.bargain_campaign c
  join (select document_id, sum(free) as free from inventory.v_earmark group by document_id) e
    on e.document_id = c.id
 cross join lateral (
   select count(*) as open from social.bargain b
    where b.cell = c.cell and b.campaign_id = c.id and b.state in ('running', 'reached', 'bought')
      and not exists (select from orders.v_line l where l.cell = b.cell and l.order_id = b.order_id
                                                    and l.state <> 'cancelled')) n
 where c.stock = 'reserved' and e.free > n.open
   and (c.ends_at < $now - interval '15 minutes');
