-- promise: every position has its ledger account
select p.variant_id, p.seller_id, p.node from inventory.position p
 where not exists (select from ledger.v_balance b where b.cell = p.cell and b.account_id = p.account_id);

-- promise: the back-order limit is the account's floor
select p.variant_id, p.node, p.backorder_limit, b.floor from inventory.position p
  join ledger.v_balance b on b.cell = p.cell and b.account_id = p.account_id
 where b.floor <> -p.backorder_limit;

-- promise: what was put aside for a document is there, or was sold out of there
select e.document_id, e.node, e.pieces, b.posted, coalesce(s.sold, 0) as sold
  from inventory.earmark e
  join ledger.v_balance b on b.cell = e.cell and b.account_id = e.account_id
  left join (select t.cell, t.credit_id, sum(t.amount) as sold from ledger.transfer t
              join ledger.journal j on j.cell = t.cell and j.id = t.journal_id
             where j.document_kind <> 'earmark' group by t.cell, t.credit_id) s
    on s.cell = e.cell and s.credit_id = e.account_id
 where e.pieces <> b.posted + coalesce(s.sold, 0);
