-- promise: what is said to be spent on a channel is what the ledger has as its expense
select s.id, s.channel, s.day, s.amount_minor, coalesce(sum(c.amount_minor), 0) as posted
  from measurement.spend s
  left join measurement.v_cost c
    on c.cell = s.cell and c.document_id = s.id and c.document_kind = 'marketing'
   and c.account = 'marketing:' || s.channel || ':' || s.currency
 group by s.cell, s.id having s.amount_minor <> coalesce(sum(c.amount_minor), 0);

-- promise: no expense of marketing that nobody reported
select c.journal_id, c.account, c.amount_minor from measurement.v_cost c
 where c.account like 'marketing:%'
   and not exists (select from measurement.spend s where s.cell = c.cell and s.id = c.document_id);

-- promise: the classes of cost lose no posting of the ledger and count none twice
select coalesce(l.journal_id, c.journal_id) as journal_id, l.amount_minor, c.amount_minor as of_ledger
  from (select cell, journal_id, count(*) as n, sum(amount_minor) as amount_minor
          from measurement.v_cost_line group by 1, 2) l
  full join (select cell, journal_id, count(*) as n, sum(amount_minor) as amount_minor
               from measurement.v_cost group by 1, 2) c
    on c.cell = l.cell and c.journal_id = l.journal_id
 where l.n is distinct from c.n or l.amount_minor is distinct from c.amount_minor;

-- promise: the tree has no circle: a child is one deeper than its parent, of the same branch, and bought later
select b.person_id, b.depth, p.depth as of_parent
  from measurement.buyer b left join measurement.buyer p on p.cell = b.cell and p.person_id = b.parent_id
 where b.parent_id is not null
   and (p.person_id is null or b.depth <> p.depth + 1 or b.root_id <> p.root_id
        or (p.first_at, p.person_id) >= (b.first_at, b.person_id));

-- promise: nobody is kept here who was erased
select e.person_id from identity.v_erased e
 where exists (select from measurement.buyer b where b.cell = e.cell and e.person_id in (b.person_id, b.parent_id))
    or exists (select from measurement.transition t where t.cell = e.cell and t.person_id = e.person_id);

-- promise: each move in the rocket begins where the one before it ended
select t.person_id, t.number, t.was, coalesce(b.now, 'none') as before
  from measurement.transition t
  left join measurement.transition b on b.cell = t.cell and b.person_id = t.person_id and b.number = t.number - 1
 where t.was <> coalesce(b.now, 'none');
