-- All metrics of a phase that look at the same days are measured in one pass; what has no order and no reward is
-- counted, not summed. ``experiments.measured`` stays for one subject.

-- Published by orders: what was taken off an order, without the order: the sums of many need nothing else of it.
create view orders.v_taken_off as select cell, order_id, amount_minor from orders.discount;

-- Who counts in a phase: seen before it ended, with a window that is over; of a person with several devices the
-- first, and nobody who saw two variations.
create function experiments.counted(
  of_cell smallint, of_experiment uuid, of_phase int, window_days int, until timestamptz)
returns table (subject_id uuid, cluster_id uuid, person_id uuid, variation text, at timestamptz, ends timestamptz,
               currency text, frozen jsonb)
language sql stable as $$
  select x.subject_id, coalesce(x.cluster_id, x.subject_id), x.person_id, x.variation, x.at,
         case when window_days > 0 then x.at + make_interval(days => window_days)
              else least(coalesce(p.ended_at, 'infinity'), until) end,
         p.plan ->> 'currency', x.frozen
    from experiments.phase p
    join experiments.exposure x on x.cell = p.cell and x.experiment_id = p.experiment_id and x.phase = p.number
   where p.cell = of_cell and p.experiment_id = of_experiment and p.number = of_phase
     and x.at < least(coalesce(p.ended_at, 'infinity'), until)
     and (window_days = 0 or x.at + make_interval(days => window_days) <= until)
     and (p.plan ->> 'unit' <> 'visitor' or x.person_id is null or not exists (
           select from experiments.exposure y
            where y.cell = x.cell and y.experiment_id = x.experiment_id and y.phase = x.phase
              and y.person_id = x.person_id
              and (y.variation <> x.variation or (y.at, y.subject_id) < (x.at, x.subject_id))))
$$;

-- One row a unit that bought or was given something, after exposure and (``…_0``) before it. Money is net of tax,
-- of cancelled pieces and of what was refunded for returned ones.
create function experiments.figures(
  of_cell smallint, of_experiment uuid, of_phase int, from_days int, window_days int, pre_days int, until timestamptz)
returns table (subject_id uuid, cluster_id uuid, variation text, orders float8, pieces float8, revenue float8,
               discount float8, given float8, orders_0 float8, pieces_0 float8, revenue_0 float8, discount_0 float8)
language sql stable as $$
  with unit as materialized (
    select * from experiments.counted(of_cell, of_experiment, of_phase, window_days, until) c where c.frozen is null
  ), bought as (
    select u.subject_id, l.order_id, bool_and(l.placed_at >= u.at) as is_after,
           sum((l.quantity - l.cancelled - l.returned)::float8) as pieces,
           sum((l.total_minor - l.tax_minor)::float8 * (l.quantity - l.cancelled) / l.quantity) as revenue
      from unit u
      join orders.v_line l on l.cell = of_cell and l.person_id = u.person_id
     where l.state not in ('pending_payment', 'cancelled') and l.currency = u.currency and l.quantity > l.cancelled
       and ((l.placed_at >= u.at + make_interval(days => from_days) and l.placed_at < u.ends and l.placed_at < until)
            or (l.placed_at < u.at and l.placed_at >= u.at - make_interval(days => pre_days)))
     group by u.subject_id, l.order_id
  ), back as (
    select v.order_id, sum(v.net_minor)::float8 as net_minor from returns.v_return v
     where v.cell = of_cell and v.state = 'refunded' group by v.order_id
  ), off as (
    select v.order_id, sum(v.amount_minor)::float8 as amount_minor from orders.v_taken_off v
     where v.cell = of_cell group by v.order_id
  ), paid as (
    select b.subject_id,
           count(*) filter (where is_after)::float8 as orders,
           sum(b.pieces) filter (where is_after) as pieces,
           sum(b.revenue - coalesce(r.net_minor, 0)) filter (where is_after) as revenue,
           sum(coalesce(o.amount_minor, 0)) filter (where is_after) as discount,
           count(*) filter (where not is_after)::float8 as orders_0,
           sum(b.pieces) filter (where not is_after) as pieces_0,
           sum(b.revenue - coalesce(r.net_minor, 0)) filter (where not is_after) as revenue_0,
           sum(coalesce(o.amount_minor, 0)) filter (where not is_after) as discount_0
      from bought b
      left join back r on r.order_id = b.order_id
      left join off o on o.order_id = b.order_id
     group by b.subject_id
  ), given as (
    select u.subject_id, sum(w.amount_minor)::float8 as given
      from unit u join experiments.reward w on w.cell = of_cell and w.subject_id = u.subject_id
     where w.currency = u.currency and w.at >= u.at + make_interval(days => from_days) and w.at < u.ends
       and w.at < until
     group by u.subject_id
  ), active as (
    select coalesce(p.subject_id, g.subject_id) as subject_id, p.orders, p.pieces, p.revenue, p.discount, g.given,
           p.orders_0, p.pieces_0, p.revenue_0, p.discount_0
      from paid p full join given g on g.subject_id = p.subject_id
  )
  select u.subject_id, u.cluster_id, u.variation, coalesce(a.orders, 0), coalesce(a.pieces, 0),
         coalesce(a.revenue, 0), coalesce(a.discount, 0), coalesce(a.given, 0), coalesce(a.orders_0, 0),
         coalesce(a.pieces_0, 0), coalesce(a.revenue_0, 0), coalesce(a.discount_0, 0)
    from active a join unit u on u.subject_id = a.subject_id
$$;

-- What a metric takes of a unit's sums. ``margin``: which part of the price before discounts is margin.
create function experiments.taken(
  measure text, margin float8, orders float8, pieces float8, revenue float8, discount float8, given float8)
returns float8 language sql immutable as $$
  select case measure
    when 'bought' then (orders > 0)::int::float8 when 'orders' then orders when 'pieces' then pieces
    when 'revenue' then revenue when 'discount' then discount when 'given' then given
    when 'reward' then discount + given
    when 'contribution' then margin * (revenue + discount) - discount - given
    else 1.0 end
$$;
