-- Orders: a draft that walked a row of stages.
create schema orders;

create table orders.delivery_option (
  code text not null,
  market text not null,
  name jsonb not null,
  price_minor bigint not null check (price_minor >= 0),
  free_from_minor bigint, -- goods from this much are delivered free
  min_days int not null check (min_days >= 0),
  max_days int not null,
  max_weight_grams int,
  rank int not null default 0,
  is_active boolean not null default true,
  primary key (market, code),
  check (max_days >= min_days)
);

create table orders."order" (
  cell smallint not null default 0,
  id uuid not null,
  number text not null,
  state text not null check (state in ('pending_payment', 'placed', 'shipped', 'delivered', 'cancelled')),
  person_id uuid,
  contact text, -- sealed: e-mail, name and telephone for this order
  ship_to text, -- sealed address
  country text not null,
  region text not null default '',
  market text not null,
  currency text not null,
  channel text not null default 'web',
  delivery text not null,
  goods_minor bigint not null,
  discount_minor bigint not null default 0,
  delivery_minor bigint not null,
  delivery_tax_minor bigint not null default 0,
  tax_minor bigint not null,
  tax_included boolean not null,
  total_minor bigint not null check (total_minor >= 0),
  secured_minor bigint not null default 0,
  refunded_minor bigint not null default 0, -- asked back from payments, never above what was secured
  delivery_taken boolean not null default false, -- delivery income is recognised with the first parcel
  reasons jsonb not null,
  quote text not null,
  scope text, -- who sent the idempotency key
  key text,
  input_hash bytea,
  placed_at timestamptz not null,
  held_until timestamptz, -- the buyer may undo until then; no parcel leaves before
  cancelled_at timestamptz,
  cancel_reason text,
  primary key (cell, id),
  unique (cell, number),
  check (refunded_minor <= secured_minor)
) with (fillfactor = 85);
create unique index order_key on orders."order" (cell, key, scope) where key is not null;
create index order_person on orders."order" (cell, person_id, id desc) where person_id is not null;
create index order_state on orders."order" (cell, state, id);

comment on column orders."order".contact is 'pii: deliver and answer for this order; erased with the person, sealed';
comment on column orders."order".ship_to is 'pii: deliver this order; erased with the person, sealed';

create table orders.line (
  cell smallint not null default 0,
  order_id uuid not null,
  line smallint not null,
  offer_id uuid not null,
  seller_id uuid not null,
  variant_id uuid not null,
  sku text not null,
  title jsonb not null,
  node text not null,
  hold_id uuid,
  quantity bigint not null check (quantity > 0),
  unit_price_minor bigint not null,
  goods_minor bigint not null, -- quantity × unit price
  discount_minor bigint not null default 0,
  tax_basis_points int not null,
  tax_minor bigint not null,
  total_minor bigint not null, -- what the buyer pays for the line
  fee_minor bigint not null default 0, -- frozen when the order is placed
  cancelled bigint not null default 0,
  shipped bigint not null default 0,
  returned bigint not null default 0,
  primary key (cell, order_id, line),
  check (cancelled + shipped <= quantity and returned <= shipped)
) with (fillfactor = 85);
create index line_variant on orders.line (cell, variant_id, order_id);

create table orders.shipment (
  cell smallint not null default 0,
  id uuid not null,
  order_id uuid not null,
  node text not null,
  state text not null check (state in ('shipped', 'delivered', 'lost')),
  carrier text not null default '',
  tracking text not null default '',
  lines jsonb not null, -- [[line, quantity], …]
  shipped_at timestamptz not null,
  delivered_at timestamptz,
  primary key (cell, id)
);
create index shipment_order on orders.shipment (cell, order_id);

-- Published: what was bought, by whom, in which state.
create view orders.v_line as
  select o.cell, o.id as order_id, o.number, o.person_id, o.state, o.currency, o.placed_at, l.line, l.offer_id,
         l.seller_id, l.variant_id, l.sku, l.title, l.node, l.quantity, l.unit_price_minor, l.total_minor,
         l.tax_minor, l.cancelled, l.shipped, l.returned
    from orders."order" o join orders.line l on l.cell = o.cell and l.order_id = o.id;

-- A start to be changed by whoever delivers.
insert into orders.delivery_option
  (market, code, name, price_minor, free_from_minor, min_days, max_days, rank) values
  ('CN', 'standard', '{"en": "Standard delivery", "zh-CN": "标准配送"}', 800, 9900, 2, 4, 0),
  ('CN', 'express', '{"en": "Next-day delivery", "zh-CN": "次日达"}', 1800, null, 1, 1, 1),
  ('GB', 'standard', '{"en": "Standard delivery", "zh-CN": "标准配送"}', 399, 4000, 2, 4, 0),
  ('GB', 'express', '{"en": "Next-day delivery", "zh-CN": "次日达"}', 899, null, 1, 1, 1),
  ('US', 'standard', '{"en": "Standard delivery", "zh-CN": "标准配送"}', 599, 4900, 3, 6, 0),
  ('US', 'express', '{"en": "Two-day delivery", "zh-CN": "两日达"}', 1499, null, 2, 2, 1),
  ('EU-DE', 'standard', '{"en": "Standard delivery", "zh-CN": "标准配送"}', 490, 4900, 2, 4, 0),
  ('EU-DE', 'express', '{"en": "Express delivery", "zh-CN": "特快配送"}', 1190, null, 1, 2, 1),
  ('BR', 'standard', '{"en": "Standard delivery", "zh-CN": "标准配送"}', 1990, 29900, 4, 10, 0);
