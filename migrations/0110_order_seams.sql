-- What a price claim leaves on an order, and what an order may wait for.
alter table orders."order" add column waits_for text; -- null, or what has to happen before it is sent: 'team'

create table orders.discount (
  cell smallint not null default 0,
  order_id uuid not null,
  offer_id uuid not null,
  source text not null, -- what took it off: 'promotion', 'team', 'bargain', …
  source_id uuid not null,
  budget_id uuid, -- the budget that pays for it
  amount_minor bigint not null check (amount_minor > 0),
  primary key (cell, order_id, offer_id, source, source_id)
);
create index discount_source on orders.discount (cell, source_id, order_id);

-- Published: who took what off which order, and what pays for it.
create view orders.v_discount as
  select d.cell, d.order_id, d.offer_id, d.source, d.source_id, d.budget_id, d.amount_minor, o.person_id,
         o.currency, o.state, o.placed_at
    from orders.discount d join orders."order" o on o.cell = d.cell and o.id = d.order_id;
