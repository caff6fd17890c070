-- promise: every noted account is in exactly one cluster, one that was not absorbed
select m.person_id, m.cluster_id from trust.member m
  left join trust.cluster c on c.cell = m.cell and c.id = m.cluster_id
 where c.id is null or c.merged_into is not null;

-- promise: every account that showed a trait is in a cluster
select distinct s.person_id from trust.sighting s
  left join trust.member m on m.cell = s.cell and m.person_id = s.person_id
 where m.person_id is null;

-- promise: no link that stands runs between two clusters
select l.id from trust.link l
  join trust.member a on a.cell = l.cell and a.person_id = l.low_id
  join trust.member b on b.cell = l.cell and b.person_id = l.high_id
 where l.undone_at is null and a.cluster_id <> b.cluster_id;

-- promise: an absorbed cluster leads to one that stands, without a circle
with recursive step as (
  select cell, id, merged_into, 1 as depth from trust.cluster where merged_into is not null
  union all
  select s.cell, s.id, c.merged_into, s.depth + 1 from step s
    join trust.cluster c on c.cell = s.cell and c.id = s.merged_into
   where c.merged_into is not null and s.depth < 1000
)
select id, depth from step where depth >= 1000;

-- promise: every refusal and every review has a reason
select id from trust.verdict where decision <> 'allow' and jsonb_array_length(reasons) = 0;

-- promise: what a person decided is written down
select v.id from trust.verdict v
 where v.decided_by is not null
   and not exists (select from trust.decision d where d.cell = v.cell and d.verdict_id = v.id
                      and d.decision = v.stands);

-- promise: an identity's account never holds more uses than one identity has
select b.account_id, b.posted, b.held, b.floor from ledger.v_balance b
  join (select distinct cell, purpose, most from trust.use where most > 0) u on u.cell = b.cell
 where b.posted - b.held < b.floor and b.floor = -u.most;
