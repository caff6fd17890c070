-- Audience: what is known of a buyer by their orders, segments over it, RFM, lifetime value.
create schema audience;

-- Published by orders: what was bought, net of everything given back.
create view orders.v_purchase as
  select cell, id as order_id, person_id, state, market, currency, country, region, channel, placed_at,
         total_minor, secured_minor, refunded_minor, delivery_minor
    from orders."order";
create view orders.v_purchase_line as
  select cell, order_id, line, seller_id, variant_id, quantity, cancelled, returned, total_minor, tax_minor,
         fee_minor
    from orders.line;
create or replace view identity.v_erased as
  select cell, id as person_id, erased_at from identity.person where erased_at is not null;

-- Facts of transactions that are over, in their order.
create view audience.v_feed as
  select cell, xid, id, kind, subject_id, at, data from kernel.event
   where xid < pg_snapshot_xmin(pg_current_snapshot());

-- How far the log has been followed. Whoever writes facts or memberships holds this row: one writer.
create table audience.follower (
  cell smallint primary key,
  xid xid8 not null,
  id uuid not null
);

-- One order that stands, as it counts today.
create table audience.purchase (
  cell smallint not null default 0,
  person_id uuid not null,
  order_id uuid not null,
  market text not null,
  currency text not null,
  country text not null,
  region text not null,
  channel text not null,
  at timestamptz not null,
  is_cancelled boolean not null,
  stands boolean not null, -- not cancelled, and at least a piece of it is kept
  net_minor bigint not null check (net_minor >= 0), -- paid, less everything given back
  goods_minor bigint not null, -- the shop's own goods that were kept, without tax
  fee_minor bigint not null,   -- commission on sellers' goods that were kept
  gift_minor bigint not null,  -- given back beyond what came back: goodwill
  pieces bigint not null,
  returned bigint not null,
  primary key (cell, person_id, order_id)
);
create index purchase_at on audience.purchase (cell, at, person_id);
comment on column audience.purchase.person_id is 'pii: segments, RFM and lifetime value from orders; until erasure';
comment on column audience.purchase.country is 'pii: segments by region; until erasure';
comment on column audience.purchase.region is 'pii: segments by region; until erasure';

-- What is spent below a category, each order weighted by 2^(days since 2026-01-01 / half-life): shares of it are
-- shares of the decayed spend at any time.
create table audience.taste (
  cell smallint not null default 0,
  person_id uuid not null,
  market text not null,
  category_id uuid not null,
  weight numeric not null,
  share_basis_points int not null check (share_basis_points between 0 and 10000),
  primary key (cell, person_id, market, category_id)
);
create index taste_category on audience.taste (cell, category_id, share_basis_points);
comment on column audience.taste.person_id is 'pii: segments by category preference; until erasure';

create table audience.spend (
  cell smallint not null default 0,
  person_id uuid not null,
  market text not null,
  currency text not null,
  orders int not null,
  net_minor bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  primary key (cell, person_id, market)
);
create index spend_market on audience.spend (cell, market, person_id);
comment on column audience.spend.person_id is 'pii: segments by spending, net of refunds; until erasure';

create table audience.person (
  cell smallint not null default 0,
  person_id uuid not null,
  orders int not null,
  cancelled_orders int not null,
  pieces bigint not null,
  returned_pieces bigint not null,
  first_at timestamptz,
  last_at timestamptz,
  market text not null,
  country text not null,
  region text not null,
  channel text not null,
  look_at timestamptz, -- when time alone may change a decision
  primary key (cell, person_id)
) with (fillfactor = 85);
create index person_look on audience.person (cell, look_at) where look_at is not null;
comment on column audience.person.person_id is 'pii: segments, RFM and lifetime value from orders; until erasure';
comment on column audience.person.country is 'pii: segments by region; until erasure';
comment on column audience.person.region is 'pii: segments by region; until erasure';

-- What somebody did, a day at a time: kept by whoever counts it, where the person agreed to it.
create table audience.activity (
  cell smallint not null default 0,
  person_id uuid not null,
  name text not null,
  day date not null,
  count int not null check (count > 0),
  primary key (cell, person_id, name, day)
);
create index activity_day on audience.activity (cell, name, day, person_id);
comment on column audience.activity.person_id is 'pii: segments by behaviour, with consent; until erasure';

-- A start to be changed by an operator: 1 is the largest cities, 5 the country. region '' is the whole country.
create table audience.region_tier (
  country text not null,
  region text not null, -- lower case, without spaces around
  tier smallint not null check (tier between 1 and 5),
  source text not null default 'default', -- 'default', or who changed it
  primary key (country, region)
);

create table audience.segment (
  cell smallint not null default 0,
  id uuid not null,
  name jsonb not null,
  rule jsonb not null,
  purpose text not null check (purpose in ('message', 'page', 'price')),
  holdout_basis_points int not null check (holdout_basis_points between 0 and 9000),
  uses uuid[] not null default '{}', -- segments the rule names
  days int[] not null default '{}',  -- spans the rule asks about: when a member may leave by time alone
  version int not null default 1,
  computed int not null default 0,   -- the version that members were computed for
  computed_to uuid,                  -- how far the walk has come
  created_at timestamptz not null,
  changed_at timestamptz not null,
  archived_at timestamptz,
  primary key (cell, id)
);
create index segment_open on audience.segment (cell, id) where archived_at is null;

create table audience.membership (
  cell smallint not null default 0,
  segment_id uuid not null,
  person_id uuid not null,
  entered_at timestamptz not null,
  left_at timestamptz,
  bucket smallint not null, -- 0 to 9999 by hash: below the segment's holdout share is held out
  id uuid not null,
  primary key (cell, segment_id, person_id, id),
  check (left_at >= entered_at)
) with (fillfactor = 85);
create unique index membership_now on audience.membership (cell, segment_id, person_id) where left_at is null;
create index membership_person on audience.membership (cell, person_id, segment_id) where left_at is null;
create index membership_entered on audience.membership (cell, segment_id, entered_at);
create index membership_left on audience.membership (cell, segment_id, left_at) where left_at is not null;
comment on column audience.membership.person_id is 'pii: who is and was in a segment; until erasure';

-- Recency, frequency and money as fifths of a market's buyers (5 is best).
create table audience.rfm (
  cell smallint not null default 0,
  market text not null,
  person_id uuid not null,
  r smallint not null check (r between 1 and 5),
  f smallint not null check (f between 1 and 5),
  m smallint not null check (m between 1 and 5),
  name text not null,
  net_minor bigint not null,
  as_of timestamptz not null,
  primary key (cell, market, person_id)
) with (fillfactor = 85);
create index rfm_person on audience.rfm (cell, person_id);
comment on column audience.rfm.person_id is 'pii: recency, frequency and money of orders; until erasure';

create table audience.rfm_move (
  cell smallint not null default 0,
  market text not null,
  person_id uuid not null,
  at timestamptz not null,
  was text, -- null: new here
  now text, -- null: no longer a buyer here (everything was given back)
  primary key (cell, market, person_id, at)
);
create index rfm_move_at on audience.rfm_move (cell, market, at);
comment on column audience.rfm_move.person_id is 'pii: moves between RFM segments; until erasure';

-- A fit, kept with what it was measured by.
create table audience.ltv_model (
  cell smallint not null default 0,
  id uuid not null,
  market text not null,
  currency text not null,
  kind text not null check (kind in ('bgnbd', 'baseline')),
  why jsonb not null,
  parameters jsonb not null,
  calibration jsonb not null,
  customers int not null,
  fitted_at timestamptz not null,
  primary key (cell, id)
);
create index ltv_model_market on audience.ltv_model (cell, market, id desc);

create table audience.ltv (
  cell smallint not null default 0,
  market text not null,
  person_id uuid not null,
  currency text not null,
  value_minor bigint not null, -- expected contribution margin over the horizon, discounted
  low_minor bigint not null,   -- the middle 80 % of what may come
  high_minor bigint not null,
  orders double precision not null, -- expected
  alive double precision,      -- the chance that they still buy; null by the baseline
  band text not null check (band in ('top', 'high', 'middle', 'low')),
  cohort date not null,
  model_id uuid not null,
  at timestamptz not null,
  primary key (cell, market, person_id)
) with (fillfactor = 85);
create index ltv_person on audience.ltv (cell, person_id);
comment on column audience.ltv.person_id is 'pii: expected value of a buyer, a cap for rewards; until erasure';

-- Published: who is in which segment now; somebody held out is a member to whom nothing is done.
create view audience.v_membership as
  select m.cell, m.segment_id, m.person_id, m.entered_at, m.bucket < s.holdout_basis_points as is_held
    from audience.membership m join audience.segment s on s.cell = m.cell and s.id = m.segment_id
   where m.left_at is null and s.archived_at is null;

-- Published: the tier that a place of an order counts as; null: nobody has said.
create view audience.v_tier as select country, region, tier from audience.region_tier;

-- A start to be changed: provinces and states by the weight of their largest cities.
insert into audience.region_tier (country, region, tier) values
  ('CN', '', 4),
  ('CN', 'beijing', 1), ('CN', '北京', 1), ('CN', '北京市', 1), ('CN', 'shanghai', 1), ('CN', '上海', 1), ('CN', '上海市', 1),
  ('CN', 'guangdong', 2), ('CN', '广东', 2), ('CN', '广东省', 2), ('CN', 'zhejiang', 2), ('CN', '浙江', 2), ('CN', '浙江省', 2),
  ('CN', 'jiangsu', 2), ('CN', '江苏', 2), ('CN', '江苏省', 2), ('CN', 'tianjin', 2), ('CN', '天津', 2), ('CN', '天津市', 2),
  ('CN', 'chongqing', 2), ('CN', '重庆', 2), ('CN', '重庆市', 2),
  ('CN', 'sichuan', 3), ('CN', '四川', 3), ('CN', '四川省', 3), ('CN', 'hubei', 3), ('CN', '湖北', 3), ('CN', '湖北省', 3),
  ('CN', 'fujian', 3), ('CN', '福建', 3), ('CN', '福建省', 3), ('CN', 'shandong', 3), ('CN', '山东', 3), ('CN', '山东省', 3),
  ('CN', 'shaanxi', 3), ('CN', '陕西', 3), ('CN', '陕西省', 3), ('CN', 'hunan', 3), ('CN', '湖南', 3), ('CN', '湖南省', 3),
  ('CN', 'henan', 4), ('CN', '河南', 4), ('CN', '河南省', 4), ('CN', 'hebei', 4), ('CN', '河北', 4), ('CN', '河北省', 4),
  ('CN', 'guizhou', 5), ('CN', '贵州', 5), ('CN', '贵州省', 5), ('CN', 'gansu', 5), ('CN', '甘肃', 5), ('CN', '甘肃省', 5),
  ('CN', 'qinghai', 5), ('CN', '青海', 5), ('CN', '青海省', 5),
  ('GB', '', 3), ('GB', 'london', 1), ('GB', 'greater london', 1), ('GB', 'manchester', 2), ('GB', 'west midlands', 2),
  ('US', '', 3), ('US', 'ny', 1), ('US', 'ca', 1), ('US', 'il', 2), ('US', 'tx', 2), ('US', 'ma', 2), ('US', 'wa', 2),
  ('DE', '', 3), ('DE', 'berlin', 1), ('DE', 'hamburg', 1), ('DE', 'bayern', 2),
  ('BR', '', 4), ('BR', 'sp', 1), ('BR', 'rj', 1), ('BR', 'mg', 2), ('BR', 'df', 2), ('BR', 'pr', 3), ('BR', 'rs', 3);
