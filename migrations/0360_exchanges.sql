-- Exchanges: another variant of the same product instead of the money.
create table returns.exchange (
  cell smallint not null default 0,
  return_id uuid not null, -- of the piece that comes back
  order_id uuid not null,
  line smallint not null, -- of the order, that comes back
  offer_id uuid not null, -- of the replacement
  seller_id uuid not null,
  variant_id uuid not null,
  sku text not null,
  title jsonb not null,
  node text not null,
  hold_id uuid not null,
  quantity bigint not null check (quantity > 0),
  unit_price_minor bigint not null check (unit_price_minor >= 0), -- of the replacement, as agreed
  pay_minor bigint not null check (pay_minor >= 0), -- the buyer pays so much more, at once
  back_minor bigint not null default 0 check (back_minor >= 0), -- went back to the buyer when it was let go
  total_minor bigint not null check (total_minor >= 0), -- what the replacement carries of the order's money
  payment_id uuid,
  is_trusted boolean not null,
  state text not null check (state in ('unpaid', 'waiting', 'released', 'ended')),
  why text not null default '',
  new_line smallint, -- of the order: the replacement
  asked_at timestamptz not null,
  until_at timestamptz not null, -- held so long for the payment, then for the parcel
  ended_at timestamptz,
  primary key (return_id, cell),
  check ((state = 'released') = (new_line is not null)),
  check ((pay_minor > 0) = (payment_id is not null))
) with (fillfactor = 85);
create index exchange_order on returns.exchange (order_id, cell);
create index exchange_payment on returns.exchange (payment_id, cell) where payment_id is not null;
create index exchange_open on returns.exchange (until_at, cell) where state in ('unpaid', 'waiting');

-- Published: what was swapped for what.
create view returns.v_exchange as
  select cell, return_id, order_id, line, new_line, offer_id, variant_id, quantity, state, why, pay_minor, back_minor,
         total_minor, asked_at, ended_at
    from returns.exchange;
