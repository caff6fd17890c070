-- Trust: which accounts are one person, and what may be done by one person only once. Of a person's device,
-- address, telephone, e-mail, card and network only keyed hashes are kept here, never the values.
create schema trust;

-- A hash that was seen. It stops telling who is one when too many share it, or when an operator says so.
create table trust.trait (
  cell smallint not null default 0,
  kind text not null check (kind in ('device', 'payment', 'phone', 'email', 'home', 'building', 'network')),
  value bytea not null,
  persons int not null default 0, -- how many accounts ever showed it
  ignored_because text, -- why it tells nothing any more
  last_at timestamptz not null,
  primary key (cell, kind, value)
);
create index trait_age on trust.trait (cell, kind, last_at);
comment on column trust.trait.value is 'pii: keyed hash, to find one person behind many accounts; 365 days after it was last seen, a network 30 days';

create table trust.sighting (
  cell smallint not null default 0,
  person_id uuid not null, -- or the number that stands for an erased person
  kind text not null,
  value bytea not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  times int not null default 1,
  primary key (cell, person_id, kind, value)
);
create index sighting_trait on trust.sighting (cell, kind, value, person_id);
create index sighting_age on trust.sighting (cell, kind, last_at);
comment on column trust.sighting.person_id is 'pii: whose account showed the hash; until erasure, then a number that leads to nobody';
comment on column trust.sighting.value is 'pii: keyed hash, to find one person behind many accounts; 365 days after it was last seen, a network 30 days';

-- Every account that was noted is in exactly one cluster: what counts as one person.
create table trust.cluster (
  cell smallint not null default 0,
  id uuid not null, -- the first account's id
  made_at timestamptz not null,
  merged_into uuid,
  merged_at timestamptz,
  primary key (cell, id),
  check ((merged_into is null) = (merged_at is null))
);
create index cluster_merged on trust.cluster (cell, merged_into) where merged_into is not null;

create table trust.member (
  cell smallint not null default 0,
  person_id uuid not null,
  cluster_id uuid not null,
  is_shadow boolean not null default false, -- stands for an erased person; nobody is behind it
  noted_at timestamptz not null,
  erased_at timestamptz,
  primary key (cell, person_id)
);
create index member_cluster on trust.member (cell, cluster_id, person_id);
create index member_shadow on trust.member (cell, erased_at) where is_shadow;
comment on column trust.member.person_id is 'pii: which accounts are one person; until erasure, then a number that leads to nobody for 365 days';

-- Why two accounts are one. The links of a cluster hang together; which hash it was is not needed for that.
create table trust.link (
  cell smallint not null default 0,
  id uuid not null,
  low_id uuid not null,
  high_id uuid not null,
  score real not null,
  reasons jsonb not null, -- [[kind, weight, accounts that share it], …]
  made_at timestamptz not null,
  made_by text not null,
  undone_at timestamptz,
  primary key (cell, id),
  check (low_id < high_id)
);
create index link_low on trust.link (cell, low_id) where undone_at is null;
create index link_high on trust.link (cell, high_id) where undone_at is null;
comment on column trust.link.low_id is 'pii: which accounts are one person; until erasure';
comment on column trust.link.high_id is 'pii: which accounts are one person; until erasure';

-- What happened to clusters, for good.
create table trust.change (
  cell smallint not null default 0,
  id uuid not null,
  kind text not null check (kind in ('merged', 'split', 'joined', 'muted', 'heard', 'erased')),
  cluster_id uuid not null,
  other_id uuid,
  reason text not null,
  accounts int not null default 0,
  actor text not null,
  at timestamptz not null,
  primary key (cell, id)
);
create index change_cluster on trust.change (cell, cluster_id, id);
create index change_other on trust.change (cell, other_id, id) where other_id is not null;

-- What one person may have only so often. The ledger holds the use; this says whose it was.
create table trust.use (
  cell smallint not null default 0,
  id uuid not null,
  purpose text not null, -- 'newcomer:<pool>'; 'bought' is a mark and takes nothing
  person_id uuid not null,
  cluster_id uuid not null, -- the cluster then
  document_kind text not null,
  document_id uuid not null,
  most int not null, -- so often for one identity; 0: a mark
  home_most int not null default 0, -- so often for one home; 0: homes are not counted
  at timestamptz not null,
  primary key (cell, id),
  unique (cell, purpose, document_id)
);
create index use_cluster on trust.use (cell, cluster_id);
create index use_person on trust.use (cell, person_id, purpose);
comment on column trust.use.person_id is 'pii: who had an offer that is one a person; until erasure, then a number that leads to nobody for 365 days';

-- What a rule watches, how much it weighs and whether it is on. The figures in ``limits`` are its own.
create table trust.rule (
  code text primary key,
  kinds text[] not null, -- which acts it looks at; empty: all
  weight real not null check (weight between 0 and 1),
  limits jsonb not null default '{}',
  is_on boolean not null default true,
  en text not null,
  zh text not null,
  changed_at timestamptz not null default now(),
  changed_by text not null default 'start'
);
insert into trust.rule (code, kinds, weight, limits, en, zh) values
  ('same_person', '{invite_reward,bargain_help,team_join,review}', 0.97, '{}',
   'Both accounts belong to one person.', '两个账号属于同一人。'),
  ('same_home', '{invite_reward}', 0.35, '{}',
   'Both accounts share a home.', '两个账号使用同一住址。'),
  ('cycle', '{invite_reward}', 0.93, '{}',
   'The invitations run in a circle and return to where they began.', '邀请关系形成闭环，回到了起点。'),
  ('mutual', '{invite_reward,bargain_help}', 0.3, '{"times": 3}',
   'The two help each other again and again.', '双方反复互相助力。'),
  ('few_devices', '{invite_reward,bargain_help,team_join}', 0.93, '{"least": 5, "share": 0.6}',
   'Many accounts help the same person from few devices.', '多个账号用少数设备为同一人助力。'),
  ('dense_group', '{invite_reward,bargain_help}', 0.75, '{"least": 5, "share": 0.6}',
   'The helpers of this person mostly help only each other.', '助力者之间高度互助。'),
  ('velocity', '{}', 0.65, '{"most": 20}',
   'More such acts in a day than one person does.', '一天内的操作次数远超个人常态。'),
  ('new_burst', '{invite_reward,bargain_help,newcomer,team_join}', 0.65, '{"least": 6, "share": 0.8}',
   'Many accounts made within a day come from one network for the same purpose.', '同一网络在一天内出现大量新账号。'),
  ('crowded_device', '{}', 0.7, '{}',
   'More accounts use this device than a household has.', '该设备上的账号数量超过一个家庭。'),
  ('known_abuse', '{}', 0.6, '{"denials": 3}',
   'This person''s accounts were refused before.', '该用户的账号此前多次被拒绝。');

-- An act that was judged.
create table trust.act (
  cell smallint not null default 0,
  id uuid not null,
  kind text not null,
  person_id uuid not null, -- who acts
  other_id uuid, -- for whom
  document_id uuid, -- the invitation, the bargain, the order
  facts jsonb not null,
  at timestamptz not null,
  primary key (cell, id)
);
create index act_person on trust.act (cell, person_id, kind, at);
create index act_other on trust.act (cell, other_id, kind, at) where other_id is not null;
create index act_document on trust.act (cell, document_id) where document_id is not null;
create index act_age on trust.act (cell, at);
comment on column trust.act.person_id is 'pii: who did what is limited to honest use; 90 days, or until erasure';
comment on column trust.act.other_id is 'pii: for whom it was done; 90 days, or until erasure';

create table trust.verdict (
  cell smallint not null default 0,
  id uuid not null, -- the act's
  kind text not null,
  person_id uuid not null,
  other_id uuid,
  document_id uuid,
  decision text not null check (decision in ('allow', 'review', 'deny')), -- the rules'
  score real not null,
  reasons jsonb not null, -- [{rule, weight, en, zh, evidence}]
  stands text not null check (stands in ('allow', 'review', 'deny')), -- what holds now
  claimed_by text,
  claimed_until timestamptz,
  decided_by text,
  decided_at timestamptz,
  note text not null default '',
  at timestamptz not null,
  primary key (cell, id),
  check (decision = 'allow' or reasons <> '[]'),
  check ((decided_by is null) = (decided_at is null))
);
create index verdict_open on trust.verdict (cell, id) where stands = 'review';
create index verdict_person on trust.verdict (cell, person_id, at);
create index verdict_age on trust.verdict (cell, at);
create index verdict_document on trust.verdict (cell, document_id) where document_id is not null;
comment on column trust.verdict.person_id is 'pii: why something was refused; 2 years, or until erasure';
comment on column trust.verdict.other_id is 'pii: why something was refused; 2 years, or until erasure';

-- Every decision of a person about a verdict, the later one holds.
create table trust.decision (
  cell smallint not null default 0,
  id uuid not null,
  verdict_id uuid not null,
  decision text not null check (decision in ('allow', 'deny')),
  note text not null,
  actor text not null,
  at timestamptz not null,
  primary key (cell, id)
);
create index decision_verdict on trust.decision (cell, verdict_id, id);

create table trust.appeal (
  cell smallint not null default 0,
  id uuid not null,
  verdict_id uuid not null,
  person_id uuid not null,
  words text not null, -- sealed
  state text not null default 'open' check (state in ('open', 'granted', 'refused')),
  made_at timestamptz not null,
  due_at timestamptz not null,
  warned_at timestamptz,
  answer text not null default '',
  answered_by text,
  answered_at timestamptz,
  primary key (cell, id),
  unique (cell, verdict_id),
  check ((state = 'open') = (answered_at is null))
);
create index appeal_open on trust.appeal (cell, due_at) where state = 'open';
create index appeal_person on trust.appeal (cell, person_id, id);
comment on column trust.appeal.person_id is 'pii: who disagrees with a decision; 2 years, or until erasure';
comment on column trust.appeal.words is 'pii: why somebody disagrees, in their words (sealed); 2 years, or until erasure';

-- Published: which accounts are one person.
create view trust.v_member as
  select cell, person_id, cluster_id, is_shadow from trust.member;
