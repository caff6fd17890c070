-- promise: every position has its ledger account
select p.variant_id, p.seller_id, p.node from inventory.position p
 where not exists (select from ledger.v_balance b where b.cell = p.cell and b.account_id = p.account_id);

-- promise: the back-order limit is the account's floor
select p.variant_id, p.node, p.backorder_limit, b.floor from inventory.position p
  join ledger.v_balance b on b.cell = p.cell and b.account_id = p.account_id
 where b.floor <> -p.backorder_limit;
