-- Earmarks: pieces put aside for a document (a timed deal, a bargain campaign). Quantities are ledger balances; an order that
-- uses the document holds its pieces there, so that what comes to nothing goes back by itself.
create table inventory.earmark (
  cell smallint not null default 0,
  document_id uuid not null,
  variant_id uuid not null,
  seller_id uuid not null,
  node text not null references inventory.node (code),
  account_id bigint not null, -- the ledger account of what is aside here
  pieces bigint not null default 0 check (pieces >= 0), -- put aside, less what was given back
  opens_at timestamptz, -- from then on whoever the document is for may buy them; null: only who has a claim
  closes_at timestamptz,
  primary key (document_id, node, variant_id, seller_id, cell)
);
create index earmark_account on inventory.earmark (account_id, cell);
create index earmark_variant on inventory.earmark (variant_id, cell);
create index earmark_open on inventory.earmark (document_id) where pieces > 0;

-- Published: what is aside for whom; ``free`` is what no order has.
create view inventory.v_earmark as
  select e.cell, e.document_id, e.variant_id, e.seller_id, e.node, e.account_id, e.pieces, n.is_open,
         e.opens_at, e.closes_at, b.posted, b.held, b.posted - b.held as free
    from inventory.earmark e
    join inventory.node n on n.code = e.node
    join ledger.v_balance b on b.cell = e.cell and b.account_id = e.account_id;

-- Published: what somebody may buy now: everybody's, and what is aside for a document that is open. (When it opens and closes is
-- for the asker to compare; null: always.)
create view inventory.v_offered as
  select cell, variant_id, seller_id, node, atp, is_open, null::timestamptz as opens_at, null::timestamptz as closes_at
    from inventory.v_atp
  union all
  select e.cell, e.variant_id, e.seller_id, e.node, e.free, e.is_open, e.opens_at, e.closes_at
    from inventory.v_earmark e where e.opens_at is not null and e.pieces > 0;

-- Whoever consumes a hold must know what it holds.
create or replace view ledger.v_hold as
  select cell, id as hold_id, document_kind, document_id, key, amount, remaining, state, expires_at, closed_at, credit_id
    from ledger.hold;
