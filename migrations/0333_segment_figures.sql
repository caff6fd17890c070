-- Large segments are counted by a job, not by a page: figures with the time they were reckoned at. Small ones are
-- counted when they are asked for and have no row here.
create table audience.segment_figure (
  cell smallint not null default 0,
  segment_id uuid not null,
  at timestamptz not null,
  size bigint not null,
  held bigint not null,
  entered bigint not null, -- in the 7 days before
  went bigint not null,
  days jsonb not null,     -- [{day, entered, left, size}, …] of the last 60, the oldest first
  shared jsonb not null,   -- how many are also in another segment, by its id
  primary key (segment_id, cell)
);
