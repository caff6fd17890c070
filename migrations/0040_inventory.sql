-- Inventory: where stock may be and what may be promised. Quantities are ledger balances.
create schema inventory;

create table inventory.node (
  code text primary key check (code ~ '^[A-Z0-9_-]{1,16}$'),
  name jsonb not null,
  kind text not null default 'warehouse' check (kind in ('warehouse', 'store', 'dropship')),
  country text not null,
  latitude double precision,
  longitude double precision,
  parcel_minor bigint not null default 0, -- what one parcel from here costs, in the shop's currency
  lead_hours int not null default 24 check (lead_hours >= 0),
  is_open boolean not null default true,
  changed_at timestamptz not null
);

create table inventory.position (
  cell smallint not null default 0,
  variant_id uuid not null,
  seller_id uuid not null,
  node text not null references inventory.node (code),
  account_id bigint not null, -- the ledger account of what is available here
  safety_stock bigint not null default 0 check (safety_stock >= 0),
  backorder_limit bigint not null default 0 check (backorder_limit >= 0),
  expected_on date, -- when a back-ordered piece is expected
  primary key (cell, variant_id, seller_id, node)
);
create index position_node on inventory.position (cell, node, variant_id);
create index position_account on inventory.position (cell, account_id);

-- Published: what can be promised of each variant, by seller and node. An order may take down to the safety stock;
-- a back-order limit lets it go below nothing.
create view inventory.v_atp as
  select p.cell, p.variant_id, p.seller_id, p.node, p.account_id, b.posted as on_hand, b.held as reserved,
         case when n.is_open then b.posted - b.held - p.safety_stock + p.backorder_limit else 0 end as atp,
         n.is_open, p.safety_stock, p.backorder_limit, p.expected_on
    from inventory.position p
    join inventory.node n on n.code = p.node
    join ledger.v_balance b on b.cell = p.cell and b.account_id = p.account_id;
