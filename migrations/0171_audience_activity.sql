-- How far what people did (tracking) has been counted, by day and name.
create table audience.counted (
  cell smallint primary key,
  position bigint not null
);
comment on column audience.activity.person_id is 'pii: segments by behaviour, with consent to analytics; 400 days, or until erasure or withdrawal';
create index activity_age on audience.activity (cell, day);
