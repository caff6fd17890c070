-- A code that a phone's camera reads to pay: what stands in it, and until when it is good.
create table payments.scan (
  cell smallint not null default 0,
  payment_id uuid not null,
  url text not null,
  until timestamptz not null,
  primary key (payment_id, cell)
);
