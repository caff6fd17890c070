-- promise: no budget is below zero, and none got back more than it spent
select v.budget_id, v.name, v.available_minor, v.reserved_minor, v.spent_minor from budgets.v_budget v
 where v.available_minor < 0 or v.reserved_minor < 0 or v.spent_minor < 0;

-- promise: what is left, reserved and spent is what was funded, less what went on to the children
select v.budget_id, v.name, v.available_minor + v.reserved_minor + v.spent_minor as has,
       coalesce(f.funded, 0) - coalesce(c.passed_on, 0) as should_have
  from budgets.v_budget v
  left join (select cell, budget_id, sum(amount_minor) as funded from budgets.funding
              where state = 'done' group by cell, budget_id) f
         on f.cell = v.cell and f.budget_id = v.budget_id
  left join (select b.cell, b.parent_id, sum(f.amount_minor) as passed_on from budgets.funding f
               join budgets.budget b on b.cell = f.cell and b.id = f.budget_id
              where f.state = 'done' and b.parent_id is not null group by b.cell, b.parent_id) c
         on c.cell = v.cell and c.parent_id = v.budget_id
 where v.available_minor + v.reserved_minor + v.spent_minor
       <> coalesce(f.funded, 0) - coalesce(c.passed_on, 0);

-- promise: each reservation is of the budget its key names
select h.hold_id, h.key, h.amount from ledger.v_hold h
 where h.key like 'budget:%' and h.state = 'open'
   and not exists (select from budgets.budget b
                    where b.cell = h.cell and b.id = split_part(h.key, ':', 2)::uuid);

-- promise: a child counts in its parent's currency
select b.id, b.name, b.currency from budgets.budget b
  join budgets.budget p on p.cell = b.cell and p.id = b.parent_id
 where p.currency <> b.currency;

-- promise: what took a second person was decided by one
select id, budget_id, asked_by from budgets.funding
 where needs_second and state <> 'asked' and decided_by = asked_by;
