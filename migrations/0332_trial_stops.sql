-- A trial that is ended before its last day: what was seen until then counts, and says that it was.
alter table measurement.trial
  add column stopped_on date, -- the first day that no longer counts
  add column stopped_by text,
  add column stopped_why text;
