comment on column budgets.budget.owner_id is 'pii: who answers for the budget; until erasure';
