-- Experiments: who saw what first, and what was found out.
create schema experiments;

-- One row: every change to a definition raises the revision, by which processes know that theirs is old.
create table experiments.house (
  cell smallint primary key,
  revision bigint not null,
  holdout int not null check (holdout between 0 and 10000) -- basis points that no new phase takes in
);
insert into experiments.house (cell, revision, holdout) values (0, 1, 0);

create table experiments.experiment (
  cell smallint not null default 0,
  id uuid not null,
  key text not null,
  state text not null check (state in ('draft', 'running', 'stopped', 'decided')),
  plan jsonb not null, -- the newest one; what is running has its own copy
  phase int not null default 0,
  winner text,
  created_at timestamptz not null,
  changed_at timestamptz not null,
  primary key (cell, id),
  unique (cell, key),
  check (winner is null or state = 'decided')
);
create index experiment_state on experiments.experiment (cell, state, id);

create table experiments.layer (
  cell smallint not null default 0,
  key text not null,
  salt text not null,
  unit text not null, -- one kind alone: a person and a visitor have other places
  primary key (cell, key)
);

create table experiments.phase (
  cell smallint not null default 0,
  experiment_id uuid not null,
  number int not null,
  salt text not null,
  plan jsonb not null,
  metrics jsonb not null, -- as they were defined when it began
  layer text,
  layer_salt text not null,
  slots jsonb not null,
  rollout int not null check (rollout between 0 and 10000),
  global_holdout int not null,
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (cell, experiment_id, number)
);
create unique index phase_running on experiments.phase (cell, experiment_id) where ended_at is null;
create index phase_layer on experiments.phase (cell, layer) where layer is not null;

-- Whatever writes here: what a phase began with is what it ends with.
create function experiments.keep_phase() returns trigger language plpgsql as $$
begin
  if row(old.salt, old.plan, old.metrics, old.layer, old.layer_salt, old.slots, old.global_holdout, old.started_at)
     is distinct from
     row(new.salt, new.plan, new.metrics, new.layer, new.layer_salt, new.slots, new.global_holdout, new.started_at)
     or new.rollout < old.rollout
     or (old.ended_at is not null and new.ended_at is distinct from old.ended_at) then
    raise exception 'a phase is not changed once it has begun';
  end if;
  return new;
end $$;
create trigger phase_kept before update on experiments.phase
  for each row execute function experiments.keep_phase();

create table experiments.step (
  cell smallint not null default 0,
  id uuid not null,
  experiment_id uuid not null,
  at timestamptz not null,
  actor text not null,
  what text not null,
  why text not null,
  facts jsonb not null,
  primary key (cell, id)
);
create index step_experiment on experiments.step (cell, experiment_id, id);

-- A bandit's weights, one row a change.
create table experiments.batch (
  cell smallint not null default 0,
  experiment_id uuid not null,
  phase int not null,
  number int not null,
  at timestamptz not null,
  weights jsonb not null,
  reasons jsonb not null,
  primary key (cell, experiment_id, phase, number)
);

create table experiments.forced (
  cell smallint not null default 0,
  experiment_id uuid not null,
  subject_id uuid not null,
  variation text not null,
  primary key (cell, experiment_id, subject_id)
);
comment on column experiments.forced.subject_id is 'pii: look at one version of a page; until erasure';

-- Clusters that were found in a graph: who shares with whom is sent the same way.
create table experiments.member (
  cell smallint not null default 0,
  experiment_id uuid not null,
  subject_id uuid not null,
  cluster_id uuid not null,
  primary key (cell, experiment_id, subject_id)
);
comment on column experiments.member.subject_id is 'pii: whom this person shares with, as a group; until erasure';

-- The first exposure of each unit in a phase. ``frozen``: the figures of somebody who was erased, by metric:
-- [value, denominator, value before], null where they were in no figure; their ids are then of nobody.
create table experiments.exposure (
  cell smallint not null default 0,
  experiment_id uuid not null,
  phase int not null,
  subject_id uuid not null,
  cluster_id uuid,
  person_id uuid,
  variation text not null,
  batch int not null,
  at timestamptz not null,
  frozen jsonb,
  primary key (cell, experiment_id, phase, subject_id)
);
create index exposure_person on experiments.exposure (cell, person_id) where person_id is not null;
comment on column experiments.exposure.subject_id is 'pii: which version this person or visitor saw; until erasure';
comment on column experiments.exposure.person_id is 'pii: which version this person saw; until erasure';

-- What was given outside of prices.
create table experiments.reward (
  cell smallint not null default 0,
  source_id uuid not null,
  subject_id uuid not null,
  currency text not null,
  amount_minor bigint not null check (amount_minor > 0),
  at timestamptz not null,
  primary key (cell, source_id)
);
create index reward_subject on experiments.reward (cell, subject_id);
comment on column experiments.reward.subject_id is 'pii: what this person was given in an experiment; until erasure';

create table experiments.metric (
  cell smallint not null default 0,
  key text not null,
  definition jsonb not null,
  primary key (cell, key)
);

-- The figures, kept so that a page is quick: one row a day and phase, the day's last.
create table experiments.snapshot (
  cell smallint not null default 0,
  experiment_id uuid not null,
  phase int not null,
  "on" date not null,
  at timestamptz not null,
  figures jsonb not null,
  primary key (cell, experiment_id, phase, "on")
);

-- One row a unit of a phase: numerator, denominator and the numerator's value before exposure.
-- Money is net of tax, of cancelled pieces and of what was refunded for returned ones; discounts are what was
-- taken off orders that stand. ``subject`` null is everybody.
create function experiments.measured(
  of_cell smallint, of_experiment uuid, of_phase int, metric jsonb, subject uuid, until timestamptz)
returns table (subject_id uuid, cluster_id uuid, variation text, batch int, value float8, denominator float8, before float8)
language sql stable as $$
  with unit as (
    select x.subject_id, x.cluster_id, x.person_id, x.variation, x.batch, x.at, x.frozen -> (metric ->> 'key') as frozen,
           x.at + make_interval(days => (metric ->> 'from_days')::int) as begins,
           case when (metric ->> 'window_days')::int > 0
                then x.at + make_interval(days => (metric ->> 'window_days')::int)
                else least(coalesce(p.ended_at, 'infinity'), until) end as ends,
           x.at - make_interval(days => (metric ->> 'pre_days')::int) as looks_back,
           p.plan ->> 'currency' as currency
      from experiments.phase p
      join experiments.exposure x on x.cell = p.cell and x.experiment_id = p.experiment_id and x.phase = p.number
     where p.cell = of_cell and p.experiment_id = of_experiment and p.number = of_phase
       and (subject is null or x.subject_id = subject)
       and (x.frozen is null or x.frozen ->> (metric ->> 'key') is not null)
       and x.at < least(coalesce(p.ended_at, 'infinity'), until)
       and ((metric ->> 'window_days')::int = 0
            or x.at + make_interval(days => (metric ->> 'window_days')::int) <= until)
       -- A visitor's figures are those of the person behind, once: nobody counts who saw two versions,
       -- and a second device of the same person adds nothing.
       and (p.plan ->> 'unit' <> 'visitor' or x.person_id is null or not exists (
             select from experiments.exposure y
              where y.cell = x.cell and y.experiment_id = x.experiment_id and y.phase = x.phase
                and y.person_id = x.person_id
                and (y.variation <> x.variation or (y.at, y.subject_id) < (x.at, x.subject_id))))
  ), piece as materialized (
    select u.subject_id, l.order_id, l.line, l.placed_at >= u.at as is_after,
           (l.quantity - l.cancelled - l.returned)::float8 as pieces,
           (l.total_minor - l.tax_minor)::float8 * (l.quantity - l.cancelled) / l.quantity as revenue
      from unit u
      join orders.v_line l on l.cell = of_cell and l.person_id = u.person_id
     where u.frozen is null and l.state not in ('pending_payment', 'cancelled') and l.currency = u.currency
       and l.quantity > l.cancelled
       and ((l.placed_at >= u.begins and l.placed_at < u.ends and l.placed_at < until)
            or (l.placed_at < u.at and l.placed_at >= u.looks_back))
  ), back as (
    select v.order_id, v.line, sum(v.net_minor)::float8 as net_minor from returns.v_return v
     where v.cell = of_cell and v.state = 'refunded' and v.order_id in (select order_id from piece)
     group by v.order_id, v.line
  ), off as (
    select v.order_id, sum(v.amount_minor)::float8 as amount_minor from orders.v_discount v
     where v.cell = of_cell and v.order_id in (select order_id from piece) group by v.order_id
  ), bought as (
    select p.subject_id, p.order_id, p.is_after, sum(p.pieces) as pieces,
           sum(p.revenue - coalesce(r.net_minor, 0)) as revenue
      from piece p left join back r on r.order_id = p.order_id and r.line = p.line
     group by p.subject_id, p.order_id, p.is_after
  ), paid as (
    select b.subject_id, b.is_after, count(*)::float8 as orders, sum(b.pieces) as pieces, sum(b.revenue) as revenue,
           sum(coalesce(d.amount_minor, 0)) as discount
      from bought b left join off d on d.order_id = b.order_id
     group by b.subject_id, b.is_after
  ), given as (
    select u.subject_id, sum(w.amount_minor)::float8 as given
      from unit u join experiments.reward w on w.cell = of_cell and w.subject_id = u.subject_id
     where u.frozen is null and w.currency = u.currency and w.at >= u.begins and w.at < u.ends and w.at < until
     group by u.subject_id
  ), figure as (
    select u.subject_id, u.cluster_id, u.variation, u.batch, u.frozen, m.*
      from unit u
      left join paid a on a.subject_id = u.subject_id and a.is_after
      left join paid b on b.subject_id = u.subject_id and not b.is_after
      left join given g on g.subject_id = u.subject_id
      cross join lateral (
        select coalesce(a.orders, 0) as orders, coalesce(a.pieces, 0) as pieces, coalesce(a.revenue, 0) as revenue,
               coalesce(a.discount, 0) as discount, coalesce(g.given, 0) as given, coalesce(b.orders, 0) as orders_0,
               coalesce(b.pieces, 0) as pieces_0, coalesce(b.revenue, 0) as revenue_0,
               coalesce(b.discount, 0) as discount_0) m
  )
  select f.subject_id, f.cluster_id, f.variation, f.batch,
         coalesce((f.frozen ->> 0)::float8, case metric ->> 'numerator'
           when 'bought' then (f.orders > 0)::int when 'orders' then f.orders when 'pieces' then f.pieces
           when 'revenue' then f.revenue when 'discount' then f.discount when 'given' then f.given
           when 'reward' then f.discount + f.given
           else (metric ->> 'margin_basis_points')::float8 / 10000 * (f.revenue + f.discount) - f.discount - f.given end),
         coalesce((f.frozen ->> 1)::float8, case metric ->> 'denominator'
           when 'bought' then (f.orders > 0)::int when 'orders' then f.orders when 'pieces' then f.pieces
           when 'revenue' then f.revenue when 'discount' then f.discount when 'given' then f.given
           when 'reward' then f.discount + f.given
           when 'contribution' then
             (metric ->> 'margin_basis_points')::float8 / 10000 * (f.revenue + f.discount) - f.discount - f.given
           else 1 end),
         coalesce((f.frozen ->> 2)::float8, case metric ->> 'numerator'
           when 'bought' then (f.orders_0 > 0)::int when 'orders' then f.orders_0 when 'pieces' then f.pieces_0
           when 'revenue' then f.revenue_0 when 'discount' then f.discount_0 when 'given' then 0
           when 'reward' then f.discount_0
           else (metric ->> 'margin_basis_points')::float8 / 10000 * (f.revenue_0 + f.discount_0) - f.discount_0 end)
    from figure f
$$;
