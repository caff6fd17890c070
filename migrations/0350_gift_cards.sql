-- Gift cards: who may spend one, where it came from, what became of it. What it is good for stands in the ledger alone.

-- Variants that are gift cards: what is sent of them is a card worth the piece's price.
create table payments.gift_product (
  cell smallint not null default 0,
  variant_id uuid not null,
  made_at timestamptz not null,
  primary key (variant_id, cell)
);

-- How long a card of a market is good for; a market without a row: for ever.
create table payments.gift_policy (
  cell smallint not null default 0,
  market text not null,
  valid_days int not null check (valid_days between 1 and 36500),
  primary key (market, cell)
);

create table payments.gift_batch (
  cell smallint not null default 0,
  id uuid not null,
  size int not null check (size > 0),
  face_minor bigint not null check (face_minor > 0),
  currency text not null,
  market text not null,
  reason text not null,
  made_at timestamptz not null,
  made_by text not null,
  primary key (id, cell)
);
create index gift_batch_made on payments.gift_batch (made_at, id, cell);

create table payments.gift_card (
  cell smallint not null default 0,
  id uuid not null,
  face_minor bigint not null check (face_minor > 0),
  currency text not null,
  market text not null,
  state text not null check (state in ('open', 'blocked', 'expired', 'ended')),
  reason text not null default '', -- why it is blocked or ended
  code_hash bytea check (length(code_hash) = 32), -- keyed; null: nobody has asked for its code yet
  last4 text not null default '' check (last4 ~ '^([0-9A-Z]{4})?$'),
  expires_on date, -- the last day; null: for ever
  batch_id uuid,
  order_id uuid, -- the order that bought it
  line smallint,
  buyer_id uuid,
  replaces uuid, -- the blocked card whose balance it took over
  created_at timestamptz not null,
  primary key (id, cell),
  check (num_nonnulls(batch_id, order_id, replaces) = 1),
  check ((code_hash is null) = (last4 = ''))
);
comment on column payments.gift_card.buyer_id is 'pii: who bought it and may have its code shown; until erasure';
create unique index gift_card_code on payments.gift_card (code_hash, cell) where code_hash is not null;
create unique index gift_card_replaces on payments.gift_card (replaces, cell) where replaces is not null;
create index gift_card_order on payments.gift_card (order_id, line, cell) where order_id is not null;
create index gift_card_batch on payments.gift_card (batch_id, cell) where batch_id is not null;
create index gift_card_buyer on payments.gift_card (buyer_id, cell) where buyer_id is not null;
create index gift_card_last4 on payments.gift_card (last4, created_at, id, cell);
create index gift_card_created on payments.gift_card (created_at, id, cell);
create index gift_card_expiring on payments.gift_card (expires_on, cell) where state = 'open' and expires_on is not null;

-- Whoever has typed a card's code keeps it: a payment names the card, never the code.
create table payments.gift_holder (
  cell smallint not null default 0,
  person_id uuid not null,
  card_id uuid not null,
  kept_at timestamptz not null,
  primary key (person_id, card_id, cell)
);
comment on column payments.gift_holder.person_id is 'pii: who keeps the gift card; until erasure';
create index gift_holder_card on payments.gift_holder (card_id, cell);

create index payment_gift_card on payments.payment (method, cell) where provider = 'gift_card';
