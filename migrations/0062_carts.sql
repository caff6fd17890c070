-- Carts, one-click orders, and which orders travel together.

-- One cart a person; a guest is a person too. A guest's cart stays behind empty, pointing to the account's.
create table orders.cart (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null,
  market text not null,
  merged_into uuid, -- the cart that took its lines over when the guest signed in
  updated_at timestamptz not null,
  primary key (cell, id),
  unique (cell, person_id)
) with (fillfactor = 85);

create table orders.cart_line (
  cell smallint not null default 0,
  cart_id uuid not null,
  offer_id uuid not null,
  quantity bigint not null check (quantity > 0),
  seen_price_minor bigint, -- what it cost when it was put in; null: it had no price there
  seen_currency text,
  added_at timestamptz not null,
  primary key (cell, cart_id, offer_id)
) with (fillfactor = 85);

-- The shop's terms of one-click orders in a market; a market without a row has the terms in the code.
create table orders.one_click_terms (
  market text primary key,
  undo_seconds int not null check (undo_seconds between 0 and 86400),
  most_minor bigint not null check (most_minor > 0),
  per_hour int not null check (per_hour > 0),
  session_seconds int not null check (session_seconds > 0), -- how old a sign-in may be
  join_seconds int not null check (join_seconds >= 0) -- how long a later order may join the parcel
);

-- Who has switched one-click ordering on, and to which words they agreed. Never on by itself.
create table orders.one_click_consent (
  cell smallint not null default 0,
  person_id uuid not null,
  is_on boolean not null,
  market text not null,
  most_minor bigint, -- the person's own limit for one order
  wording text not null,
  changed_at timestamptz not null,
  primary key (cell, person_id)
);

-- One row a tap: the limit per hour counts these.
create table orders.one_click_tap (
  cell smallint not null default 0,
  person_id uuid not null,
  key text not null,
  at timestamptz not null,
  primary key (cell, person_id, key)
);
create index one_click_tap_age on orders.one_click_tap (cell, at);

-- Orders of one person to one address that leave in one parcel. The first one leads and pays the delivery.
create table orders.travel (
  cell smallint not null default 0,
  order_id uuid not null,
  leader_id uuid not null, -- itself for the first
  person_id uuid not null,
  address_id uuid not null,
  market text not null,
  delivery text not null,
  placed_at timestamptz not null,
  primary key (cell, order_id)
);
create index travel_person on orders.travel (cell, person_id, address_id, order_id);
create index travel_leader on orders.travel (cell, leader_id);

-- Published: what to pack together.
create view orders.v_travel as select cell, order_id, leader_id from orders.travel;
