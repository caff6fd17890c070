comment on column returns.point.address is 'not pii: a shop or a locker';
