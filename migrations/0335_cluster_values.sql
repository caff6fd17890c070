-- The values of an experiment's units whose clusters are sent one way, weighted for the ties that the clusters cut.
create function experiments.cluster_values(
  of_cell smallint, of_experiment uuid, of_phase int, metrics jsonb, from_days int, window_days int, pre_days int,
  until timestamptz, sent_ids uuid[], sent_ways text[], ways text[], chances float8[], most_others int)
returns table (key text, variation text, cluster_id uuid, weight float8, value float8, d float8, before float8)
language sql stable as $$
  with metric as (
          select * from jsonb_to_recordset(metrics) as m(key text, numerator text,
            denominator text, margin float8, pre boolean, cap float8, quantile float8)
        ), sent as (
          select * from unnest(sent_ids::uuid[], sent_ways::text[]) as s(cluster_id, variation)
        ), way as (
          select * from unnest(ways::text[], chances::float8[]) as w(variation, chance)
        ), tied as (
          select t.subject_id, count(*) as others, min(s.variation) as variation,
                 min(s.variation) = max(s.variation) as is_one
            from experiments.tie t join sent s on s.cluster_id = t.cluster_id
           where t.cell = of_cell and t.experiment_id = of_experiment group by t.subject_id
        ), unit as materialized (
          select c.*, power(w.chance, -coalesce(t.others, 0)) as weight
            from experiments.counted(of_cell, of_experiment, of_phase, window_days, until) c
            join way w on w.variation = c.variation
            left join tied t on t.subject_id = c.subject_id
           where t.others is null
              or (t.others <= most_others and t.is_one and t.variation = c.variation)
        ), figure as materialized (
          select * from experiments.figures(of_cell, of_experiment, of_phase, from_days, window_days, pre_days, until)
        )
          select m.key, u.variation, u.cluster_id, u.weight,
                 coalesce(experiments.taken(m.numerator, m.margin, f.orders, f.pieces, f.revenue,
                                            f.discount, f.given), 0) as value,
                 case when m.denominator = '' then 1
                      else coalesce(experiments.taken(m.denominator, m.margin, f.orders, f.pieces,
                             f.revenue, f.discount, f.given), 0) end as d,
                 case when m.pre then coalesce(experiments.taken(m.numerator, m.margin,
                   f.orders_0, f.pieces_0, f.revenue_0, f.discount_0, 0), 0) else 0 end as before
            from unit u left join figure f on f.subject_id = u.subject_id cross join metric m
           where u.frozen is null
          union all
          select m.key, u.variation, u.cluster_id, u.weight, (u.frozen -> m.key ->> 0)::float8,
                 (u.frozen -> m.key ->> 1)::float8, (u.frozen -> m.key ->> 2)::float8
            from unit u cross join metric m
           where u.frozen is not null and u.frozen ->> m.key is not null
$$;
