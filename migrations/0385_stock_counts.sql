-- Stock counts: what somebody found at a place, and what the books said at that moment. One row for
-- each place of a document makes a repeated document harmless, also where nothing was different.
create table inventory.count (
  cell smallint not null default 0,
  document_id uuid not null, -- the counter's own number of the count
  variant_id uuid not null,
  seller_id uuid not null,
  node text not null references inventory.node (code),
  quantity bigint not null check (quantity >= 0), -- what was found
  booked bigint not null, -- what the books had on hand
  reason text not null,
  actor text not null,
  at timestamptz not null,
  primary key (document_id, variant_id, seller_id, node, cell)
);
create index count_place on inventory.count (variant_id, seller_id, node, at, cell);
