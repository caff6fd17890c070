-- promise: nobody sees two variations of one phase: a cluster goes one way
select experiment_id, phase, cluster_id from experiments.exposure
 where cluster_id is not null and frozen is null
 group by cell, experiment_id, phase, cluster_id having count(distinct variation) > 1;

-- promise: nobody is in two experiments of one layer at the same time
select x.subject_id, p.layer, x.experiment_id, y.experiment_id as other_id
  from experiments.phase p
  join experiments.phase q on q.cell = p.cell and q.layer = p.layer and q.experiment_id > p.experiment_id
   and tstzrange(p.started_at, p.ended_at) && tstzrange(q.started_at, q.ended_at)
  join experiments.exposure x on x.cell = p.cell and x.experiment_id = p.experiment_id and x.phase = p.number
  join experiments.exposure y on y.cell = q.cell and y.experiment_id = q.experiment_id and y.phase = q.number
   and coalesce(y.cluster_id, y.subject_id) = coalesce(x.cluster_id, x.subject_id)
 where p.layer is not null;

-- promise: what was exposed is a variation of its phase, while it ran
select x.experiment_id, x.phase, x.subject_id, x.variation
  from experiments.exposure x
  left join experiments.phase p on p.cell = x.cell and p.experiment_id = x.experiment_id and p.number = x.phase
 where p.number is null or x.at < p.started_at
    or not p.plan -> 'variations' @> jsonb_build_array(jsonb_build_object('key', x.variation));

-- promise: one phase runs exactly while its experiment does
select e.id, e.state, count(p.number) as running
  from experiments.experiment e
  left join experiments.phase p on p.cell = e.cell and p.experiment_id = e.id and p.ended_at is null
 group by e.cell, e.id, e.state having count(p.number) <> (e.state = 'running')::int;

-- promise: whoever is erased has left no id
select experiment_id, subject_id from experiments.exposure where frozen is not null and person_id is not null;
