-- promise: an account is part of one customer at most, and no customer is part of itself
with recursive up as (
  select cell, joined_id as start, kept_id as at, 1 as steps from profiles.merge where undone_at is null
  union all
  select up.cell, up.start, m.kept_id, up.steps + 1
    from up join profiles.merge m on m.cell = up.cell and m.joined_id = up.at and m.undone_at is null
   where up.steps < 50)
select start, steps from up where at = start or steps >= 50;

-- promise: somebody who was erased leaves no trait and no merge
select e.person_id from identity.v_erased e
 where exists (select from profiles.trait t where t.cell = e.cell and t.person_id = e.person_id)
    or exists (select from profiles.merge m
                where m.cell = e.cell and (m.kept_id = e.person_id or m.joined_id = e.person_id));

-- promise: of one source there is one word on a trait
select person_id, name, source, count(*) from profiles.trait
 where replaced_at is null group by cell, person_id, name, source having count(*) > 1;
