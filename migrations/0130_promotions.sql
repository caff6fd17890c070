-- Promotions: rules that lower what an order costs, coupons, timed deals and who waits for them.
create schema promotions;

-- Rules that stages keep in memory carry one revision; it is read with every draft's prices.
create table orders.revision (
  is_only boolean primary key default true check (is_only),
  version bigint not null default 0
);
insert into orders.revision default values;

-- The revision, and a promise that it stays so until the end of this transaction. A function, because each
-- of its statements looks anew: the second one sees what was committed while the first one waited.
create function orders.held_revision(key bigint) returns bigint language plpgsql volatile as $$
begin
  perform pg_advisory_xact_lock_shared(key);
  return (select version from orders.revision);
end $$;

-- The codes a buyer entered lie with the cart; several funders may share one discount on one offer.
alter table orders.cart add column coupons text[] not null default '{}';
alter table orders.discount drop constraint discount_pkey;
create unique index discount_once on orders.discount (cell, order_id, offer_id, source, source_id, budget_id)
  nulls not distinct;

create table promotions.promotion (
  id uuid primary key,
  name jsonb not null, -- {"en": …, "zh-CN": …}: what the buyer reads
  state text not null default 'draft' check (state in ('draft', 'active', 'stopped')),
  terms jsonb not null, -- kind, scope, conditions, limits, funding: see model.Terms
  code text, -- the public code, in capitals; null: none
  starts_at timestamptz,
  ends_at timestamptz,
  is_deal boolean not null default false,
  told text not null default '' check (told in ('', 'started', 'ended')), -- what the shop was told of
  created_at timestamptz not null,
  changed_at timestamptz not null,
  changed_by text not null,
  check (ends_at > starts_at)
);
create unique index promotion_code on promotions.promotion (code) where code is not null and state <> 'stopped';
create index promotion_active on promotions.promotion (state, id);
create index promotion_telling on promotions.promotion (told, starts_at) where state <> 'draft' and told <> 'ended';

-- Unique codes, made from the installation's secret: only what is needed to know one again is stored.
create table promotions.batch (
  id uuid primary key,
  promotion_id uuid not null references promotions.promotion (id),
  size int not null check (size between 1 and 100000),
  note text not null default '',
  expires_at timestamptz,
  made_at timestamptz not null,
  made_by text not null
);
create index batch_promotion on promotions.batch (promotion_id, id);

create table promotions.code (
  cell smallint not null default 0,
  digest bytea not null, -- keyed hash of the code
  batch_id uuid not null,
  number int not null,
  promotion_id uuid not null,
  expires_at timestamptz,
  primary key (cell, digest)
);
create index code_batch on promotions.code (cell, batch_id, number);

-- A coupon in somebody's wallet.
create table promotions.coupon (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null,
  promotion_id uuid not null,
  key text not null, -- who grants says why, once
  expires_at timestamptz,
  granted_at timestamptz not null,
  revoked_at timestamptz,
  revoke_reason text,
  primary key (cell, id),
  unique (cell, promotion_id, person_id, key)
);
create index coupon_person on promotions.coupon (cell, person_id, id desc);
comment on column promotions.coupon.person_id is 'pii: whose coupon it is; until erasure';

-- Which order used which promotion, with which coupon or code. The ledger says whether it still counts.
create table promotions.use (
  cell smallint not null default 0,
  order_id uuid not null,
  promotion_id uuid not null,
  person_id uuid,
  coupon_id uuid,
  digest bytea,
  pieces bigint not null default 1, -- of a promotion that counts pieces
  off_minor bigint not null, -- off the goods
  currency text not null,
  used_at timestamptz not null,
  primary key (cell, order_id, promotion_id)
);
create index use_promotion on promotions.use (cell, promotion_id, order_id);
create index use_coupon on promotions.use (cell, coupon_id) where coupon_id is not null;
comment on column promotions.use.person_id is 'pii: who used it; until erasure';

-- Who waits for a deal that is sold out, in the order they came.
create table promotions.waiting (
  cell smallint not null default 0,
  id uuid not null,
  promotion_id uuid not null,
  person_id uuid not null,
  place bigint generated always as identity,
  state text not null default 'waiting' check (state in ('waiting', 'called', 'bought', 'missed', 'left')),
  joined_at timestamptz not null,
  called_at timestamptz,
  until timestamptz, -- the turn ends then
  primary key (cell, id)
);
create unique index waiting_once on promotions.waiting (cell, promotion_id, person_id)
  where state in ('waiting', 'called');
create index waiting_place on promotions.waiting (cell, promotion_id, place) where state = 'waiting';
create index waiting_person on promotions.waiting (cell, person_id);
comment on column promotions.waiting.person_id is 'pii: who waits for a deal; until erasure';

-- Published: which promotions there are, and what orders made of them.
create view promotions.v_promotion as
  select id as promotion_id, name, state, starts_at, ends_at, is_deal from promotions.promotion;
create view promotions.v_use as
  select cell, order_id, promotion_id, person_id, coupon_id, pieces, off_minor, currency, used_at from promotions.use;
create view orders.v_revision as select version from orders.revision;
