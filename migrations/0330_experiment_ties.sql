-- Ties that the clusters of an experiment cut: a figure that doesn't know of them is pulled towards nothing.
alter table experiments.member add column ties int not null default 0;
comment on column experiments.member.ties is 'with how many people this one is tied, in whatever cluster they are';

-- One row a person and another cluster they are tied to; who is tied only to their own has none.
create table experiments.tie (
  cell smallint not null default 0,
  experiment_id uuid not null,
  subject_id uuid not null,
  cluster_id uuid not null,
  ties int not null check (ties > 0),
  primary key (cell, experiment_id, subject_id, cluster_id)
);
comment on column experiments.tie.subject_id is 'pii: which groups this person shares with; until erasure';
