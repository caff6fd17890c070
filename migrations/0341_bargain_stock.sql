-- A bargain campaign says whether its pieces are put aside, or sold while stock lasts.
alter table social.bargain_campaign
  add column stock text not null default 'while_stock_lasts' check (stock in ('reserved', 'while_stock_lasts')),
  add check (stock <> 'reserved' or pieces_total is not null);
