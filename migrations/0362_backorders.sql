-- What was sold before it was here: each line with the day that was said, and the last day that is waited for.
create index position_backorder on inventory.position (variant_id, cell) where backorder_limit > 0;

create table orders.backorder (
  cell smallint not null default 0,
  order_id uuid not null,
  line smallint not null,
  quantity bigint not null check (quantity > 0), -- of the line, not here yet
  expected_on date not null, -- as it was said when it was ordered
  last_on date not null, -- then the money goes back by itself
  told_on date, -- the buyer knows that it is late
  primary key (order_id, line, cell),
  check (last_on >= expected_on)
);
create index backorder_due on orders.backorder (expected_on, cell);

-- Published: the places that sell beyond what is there.
create view inventory.v_position_backorder as
  select cell, variant_id, seller_id, node, backorder_limit, expected_on from inventory.position
   where backorder_limit > 0;
