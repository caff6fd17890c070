-- What surrounds acts, for the rules of trust: one answer for each act, as of its time or of as_of;
-- clusters are today's. Each column is explained at the struct that it fills (trust/rules.py).

create function trust.surroundings(of_cell smallint, act_ids uuid[], as_of timestamptz)
returns table (
  id uuid, kind text, same_person boolean, shared text[], accounts int, today int, back int,
  forth int, circle boolean, helpers int, helper_devices int, helper_identities int,
  helper_ties int, fresh_near int, near int, crowded text[], denials int, pardoned text[]
)
language sql stable as $$
with act as materialized (
  select a.id, a.kind, a.person_id, a.other_id, coalesce(as_of, a.at) as at,
         coalesce(p.cluster_id, a.person_id) as mine,
         coalesce(o.cluster_id, a.other_id) as theirs
    from trust.act a
    left join trust.member p on p.cell = a.cell and p.person_id = a.person_id
    left join trust.member o on o.cell = a.cell and o.person_id = a.other_id
   where a.cell = of_cell and a.id = any(act_ids)
)
select a.id, a.kind, coalesce(a.mine = a.theirs, false) as same_person,
       case when a.theirs is null or a.mine = a.theirs then '{}'::text[] else array(
         select distinct s.kind from trust.sighting s
           join trust.sighting t on t.cell = s.cell and t.kind = s.kind
                and t.value = s.value and t.person_id = a.other_id
           join trust.trait r on r.cell = s.cell and r.kind = s.kind and r.value = s.value
                and r.ignored_because is null
          where s.cell = of_cell and s.person_id = a.person_id order by s.kind) end as shared,
       mine.accounts, mine.today, way.back, way.forth, circle.found as circle,
       helpers.accounts as helpers, helpers.devices as helper_devices,
       helpers.identities as helper_identities, ties.pairs as helper_ties,
       near.fresh as fresh_near, near.accounts as near,
       array(select distinct s.kind from trust.sighting s
               join trust.trait r on r.cell = s.cell and r.kind = s.kind
                    and r.value = s.value and r.ignored_because = 'crowd'
              where s.cell = of_cell and s.person_id = a.person_id) as crowded,
       past.denials, past.pardoned
  from act a
  cross join lateral (
    select greatest(1, (select count(*) from trust.member m where m.cell = of_cell
                           and m.cluster_id = a.mine))::int as accounts,
           (select count(*) from (
              select a.person_id as id union
              select m.person_id from trust.member m
               where m.cell = of_cell and m.cluster_id = a.mine) who
              join trust.act b on b.cell = of_cell and b.person_id = who.id and b.kind = a.kind
               and b.at > a.at - interval '1 day'
               and (b.at, b.id) <= (a.at, a.id))::int as today) mine
  cross join lateral (
    select count(*) filter (where coalesce(m.cluster_id, b.person_id) = a.theirs
             and coalesce(n.cluster_id, b.other_id) = a.mine)::int as back,
           count(*) filter (where coalesce(m.cluster_id, b.person_id) = a.mine
             and coalesce(n.cluster_id, b.other_id) = a.theirs)::int as forth
      from trust.act b
      left join trust.member m on m.cell = of_cell and m.person_id = b.person_id
      left join trust.member n on n.cell = of_cell and n.person_id = b.other_id
     where b.cell = of_cell and b.kind = a.kind and a.mine <> a.theirs
       and b.other_id in (
         select a.person_id union select a.other_id union
         select x.person_id from trust.member x
          where x.cell = of_cell and x.cluster_id in (a.mine, a.theirs))
       and b.at > a.at - interval '30 days' and b.at <= a.at) way
  cross join lateral (
    select exists (
      select from trust.act b
        join trust.act c on c.cell = of_cell and c.kind = a.kind and c.person_id = b.other_id
             and c.at > a.at - interval '30 days' and c.at <= a.at
        left join trust.member n on n.cell = of_cell and n.person_id = c.other_id
       where b.cell = of_cell and b.kind = a.kind and b.person_id = a.other_id
         and b.at > a.at - interval '30 days' and b.at <= a.at and a.mine <> a.theirs
         and coalesce(n.cluster_id, c.other_id) = a.mine) as found) circle
  cross join lateral (
    select count(distinct b.person_id)::int as accounts,
           count(distinct coalesce(d.value, decode(replace(b.person_id::text, '-', ''),
             'hex')))::int as devices,
           count(distinct coalesce(m.cluster_id, b.person_id))::int as identities
      from trust.act b
      left join trust.member m on m.cell = of_cell and m.person_id = b.person_id
      left join lateral (
        select s.value from trust.sighting s
          join trust.trait t on t.cell = s.cell and t.kind = s.kind and t.value = s.value
         where s.cell = of_cell and s.person_id = b.person_id and s.kind = 'device'
         order by t.persons desc, s.value limit 1) d on true
     where b.cell = of_cell and b.other_id = a.other_id and b.kind = a.kind
       and b.at > a.at - interval '30 days' and b.at <= a.at) helpers
  cross join lateral (
    select count(distinct (least(h.person_id, b.person_id),
                           greatest(h.person_id, b.person_id)))::int as pairs
      from (select distinct person_id from trust.act h
             where h.cell = of_cell and h.other_id = a.other_id and h.kind = a.kind
               and h.at > a.at - interval '30 days' and h.at <= a.at limit 60) h
      join trust.act b on b.cell = of_cell and b.other_id = h.person_id and b.kind = a.kind
           and b.at > a.at - interval '30 days' and b.at <= a.at
           and b.person_id <> h.person_id
      join trust.act g on g.cell = of_cell and g.person_id = b.person_id and g.kind = a.kind
           and g.other_id = a.other_id and g.at > a.at - interval '30 days'
           and g.at <= a.at) ties
  cross join lateral (
    select count(distinct b.person_id)::int as accounts,
           count(distinct b.person_id) filter (
             where m.noted_at > a.at - interval '1 day')::int as fresh
      from trust.sighting s
      join lateral (
        select o.person_id from trust.sighting o
         where o.cell = of_cell and o.kind = 'network' and o.value = s.value limit 200) o on true
      join trust.act b on b.cell = of_cell and b.person_id = o.person_id and b.kind = a.kind
           and b.other_id is not distinct from a.other_id
           and b.at > a.at - interval '1 day' and b.at <= a.at
      left join trust.member m on m.cell = of_cell and m.person_id = b.person_id
     where s.cell = of_cell and s.person_id = a.person_id and s.kind = 'network') near
  cross join lateral (
    select (select count(*) from (
              select a.person_id as id union
              select m.person_id from trust.member m
               where m.cell = of_cell and m.cluster_id = a.mine) who
              join trust.verdict v on v.cell = of_cell and v.person_id = who.id
                   and v.stands = 'deny' and v.at > a.at - interval '180 days'
                   and v.at < a.at and v.id <> a.id)::int as denials,
           array(select distinct r.reason->>'rule' from trust.verdict v
                   cross join lateral jsonb_array_elements(v.reasons) as r(reason)
                  where v.cell = of_cell and v.person_id = a.person_id and v.stands = 'allow'
                    and v.decided_at > a.at - interval '180 days') as pardoned) past
$$;
