-- Returns: what comes back, in which state, and what becomes of it and of the money.
create schema returns;

-- A row for a market holds for all its goods; one with a category for the goods below it. A market without a
-- row has the policy in the code. Where the law gives more days than a row, the law holds.
create table returns.policy (
  market text not null,
  category_id uuid not null default '00000000-0000-0000-0000-000000000000',
  window_days int not null check (window_days >= 0), -- for no reason at all
  fault_days int not null check (fault_days >= 0), -- for what is broken or wrong
  approves_itself boolean not null,
  refunds_delivery boolean not null, -- when everything comes back
  freight_minor bigint not null check (freight_minor >= 0), -- the buyer's part of the way back, without a fault
  instant_minor bigint not null check (instant_minor >= 0), -- refunded before the goods are here, at most
  send_days int not null check (send_days > 0),
  grade_days int not null check (grade_days > 0),
  resale_basis_points int not null check (resale_basis_points between 1 and 10000),
  primary key (market, category_id)
);

create table returns.rma (
  cell smallint not null default 0,
  id uuid not null,
  number text not null, -- also the drop-off code on the label
  order_id uuid not null,
  person_id uuid,
  state text not null check (state in
    ('requested', 'approved', 'received', 'refunded', 'rejected', 'cancelled', 'expired')),
  reason text not null check (reason in ('unwanted', 'damaged', 'wrong', 'late', 'other')),
  note text not null default '',
  market text not null,
  currency text not null,
  policy jsonb not null, -- as it was when it was asked for
  score int not null,
  reasons jsonb not null, -- why it was approved, or why a person must look
  answer text not null default '', -- what a clerk said
  node text, -- where it arrived
  advance_minor bigint not null default 0 check (advance_minor >= 0), -- refunded before it was here
  carried_minor bigint not null default 0 check (carried_minor >= 0), -- what the pieces were paid with
  delivery_minor bigint not null default 0 check (delivery_minor >= 0), -- of it, the delivery
  freight_minor bigint not null default 0 check (freight_minor >= 0),
  withheld_minor bigint not null default 0 check (withheld_minor >= 0),
  refund_minor bigint not null default 0 check (refund_minor >= 0), -- refunded when it was graded
  owed_minor bigint not null default 0 check (owed_minor >= 0), -- refunded in advance, not deserved
  requested_at timestamptz not null,
  send_by timestamptz,
  received_at timestamptz,
  grade_by timestamptz,
  listed_at timestamptz, -- told to be overdue
  closed_at timestamptz,
  primary key (cell, id),
  unique (cell, number),
  check (state <> 'refunded'
         or carried_minor = refund_minor + (advance_minor - owed_minor) + freight_minor + withheld_minor)
) with (fillfactor = 85);
create index rma_order on returns.rma (cell, order_id);
create index rma_person on returns.rma (cell, person_id, id desc) where person_id is not null;
create index rma_state on returns.rma (cell, state, id);
create index rma_send_by on returns.rma (cell, send_by) where state = 'approved';
create index rma_grade_by on returns.rma (cell, grade_by) where state = 'received';
comment on column returns.rma.note is 'pii: judge this return; emptied with the person';

create table returns.line (
  cell smallint not null default 0,
  return_id uuid not null,
  line smallint not null, -- of the order
  order_id uuid not null,
  seller_id uuid not null,
  variant_id uuid not null,
  sku text not null,
  title jsonb not null,
  quantity bigint not null check (quantity > 0),
  received bigint not null default 0 check (received between 0 and quantity),
  net_minor bigint not null default 0,
  tax_minor bigint not null default 0,
  primary key (cell, return_id, line)
) with (fillfactor = 85);
create index line_order on returns.line (cell, order_id, line);

create table returns.grading (
  cell smallint not null default 0,
  return_id uuid not null,
  line smallint not null,
  grade text not null check (grade in ('A', 'B', 'C', 'D')),
  quantity bigint not null check (quantity > 0),
  disposition text not null check (disposition in ('restock', 'resale', 'damaged', 'scrap')),
  checklist jsonb not null,
  graded_by text not null,
  graded_at timestamptz not null,
  primary key (cell, return_id, line, grade)
);

-- Published: what came back of which order, and why.
create view returns.v_return as
  select r.cell, r.id as return_id, r.number, r.order_id, r.person_id, r.state, r.reason, r.currency, r.refund_minor,
         r.advance_minor, r.owed_minor, r.requested_at, r.closed_at, l.line, l.seller_id, l.variant_id, l.quantity,
         l.received, l.net_minor, l.tax_minor
    from returns.rma r join returns.line l on l.cell = r.cell and l.return_id = r.id;

-- What was opened, tried or mended is sold by the shop's outlet: a seller of its own, so that new and used pieces of
-- one variant never share a place or an offer.
insert into marketplace.seller (id, slug, name, kind, created_at, updated_at) values
  ('00000000-0000-7000-8000-000000000002', 'outlet', 'Outlet', 'third_party', '2026-01-01+00', '2026-01-01+00');
