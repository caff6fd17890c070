-- Team purchase: seats claimed before payment, teams that form or fail, every step a row.
create schema if not exists social;

create table social.team_campaign (
  cell smallint not null default 0,
  id uuid not null,
  name jsonb not null,
  market text not null,
  currency text not null,
  policy text not null check (policy in ('strict', 'near_complete', 'tiered')),
  seats smallint not null check (seats between 2 and 100),
  window_seconds int not null check (window_seconds between 60 and 2592000),
  state text not null default 'draft' check (state in ('draft', 'running', 'stopped')),
  starts_at timestamptz not null,
  ends_at timestamptz, -- no team is opened from then on
  new_buyers_only boolean not null default false, -- whoever joins has never bought
  captures_at_once boolean not null default true, -- false: the money is authorised and taken with the parcel
  leads_per_person int not null default 3 check (leads_per_person between 1 and 1000),
  joins_per_person int not null default 3 check (joins_per_person between 1 and 1000),
  uses_per_identity int check (uses_per_identity between 1 and 1000),
  pieces_per_member int not null default 1 check (pieces_per_member between 1 and 1000),
  open_teams_most int check (open_teams_most >= 1),
  pieces_total bigint check (pieces_total >= 1), -- what the campaign was given to sell, an account of the ledger
  fill_from smallint, -- near_complete: from so many paid members the rest is paid for by the budget
  fill_minor bigint, -- what the budget pays for each missing seat
  budget_id uuid, -- pays for the gap to the price of buying alone
  leader_coupon_id uuid, -- the leader gets it when their own parcel has arrived
  created_at timestamptz not null,
  started_at timestamptz,
  stopped_at timestamptz,
  primary key (cell, id),
  check ((policy = 'near_complete') = (fill_from is not null)),
  check (fill_from is null or (fill_from between 1 and seats - 1 and fill_minor >= 0))
);
create index team_campaign_running on social.team_campaign (cell, market) where state = 'running';

create table social.team_offer (
  cell smallint not null default 0,
  campaign_id uuid not null,
  offer_id uuid not null,
  price_minor bigint not null check (price_minor >= 0), -- a member's price; of a tiered campaign that of the first tier
  tiers jsonb not null default '[]', -- [[size, price_minor], …], sizes up, prices down
  primary key (cell, campaign_id, offer_id)
);
create index team_offer_offer on social.team_offer (cell, offer_id);

create table social.team (
  cell smallint not null default 0,
  id uuid not null,
  campaign_id uuid not null,
  token text not null, -- nobody finds a team who was not given its address
  state text not null default 'open' check (state in ('open', 'formed', 'failing', 'failed')),
  seats smallint not null,
  seat_account bigint not null, -- its free seats, an account of the ledger
  opened_at timestamptz not null,
  closes_at timestamptz not null,
  ended_at timestamptz, -- formed, or begun to fail
  closed_at timestamptz, -- failed: everybody has their money back or on its way
  why text, -- of a failure: 'deadline', 'stopped', 'empty', 'budget'
  reached smallint, -- paid members when it formed
  filled smallint not null default 0, -- seats that nobody took and the budget paid for
  fill_minor bigint not null default 0, -- what it paid
  leader_order_id uuid, -- whose parcel the reward waits for, from when it formed
  reward text not null default 'none' check (reward in ('none', 'pending', 'given')),
  primary key (cell, id),
  unique (cell, token),
  check ((state = 'open') = (ended_at is null)),
  check ((state = 'failed') = (closed_at is not null)),
  check ((state = 'formed') = (reached is not null))
) with (fillfactor = 85);
create index team_due on social.team (cell, closes_at) where state = 'open';
create index team_failing on social.team (cell, id) where state = 'failing';
create index team_of_campaign on social.team (cell, campaign_id, state, id desc);
create index team_reward on social.team (cell, leader_order_id) where reward = 'pending';

create table social.team_member (
  cell smallint not null default 0,
  team_id uuid not null,
  order_id uuid not null,
  campaign_id uuid not null,
  person_id uuid,
  is_leader boolean not null,
  offer_id uuid not null,
  quantity int not null check (quantity > 0),
  unit_minor bigint not null, -- a piece's price when the seat was claimed
  claimed_at timestamptz not null,
  paid_at timestamptz,
  left_at timestamptz, -- the order ended before the team formed
  dropped_minor bigint not null default 0, -- tiered: what came back because more joined
  share_token text not null, -- this member's own link
  came_by text, -- the share token of the link that brought them
  invited_by uuid,
  initials text, -- shown in the team with the member's consent, else null
  uses jsonb not null, -- the holds of this seat: [account, unit, floor, amount, hold]
  primary key (cell, team_id, order_id),
  unique (cell, order_id),
  unique (cell, share_token)
) with (fillfactor = 85);
create index team_member_person on social.team_member (cell, person_id, order_id desc) where person_id is not null;
create index team_member_invited on social.team_member (cell, invited_by) where invited_by is not null;

comment on column social.team_member.person_id is 'pii: who holds the seat; until erasure';
comment on column social.team_member.invited_by is 'pii: by whose link the member came; until erasure';
comment on column social.team_member.initials is 'pii: shown to the team with consent; until erasure';

-- Who came by whose link, and how they want to be shown, until they take their seat.
create table social.team_arrival (
  cell smallint not null default 0,
  claim_id uuid not null, -- the team, or the campaign when a team is opened
  person_id uuid not null,
  came_by text,
  initials text,
  at timestamptz not null,
  primary key (cell, claim_id, person_id)
);
create index team_arrival_person on social.team_arrival (cell, person_id);
comment on column social.team_arrival.person_id is 'pii: who was invited to the team; 30 days';
comment on column social.team_arrival.initials is 'pii: shown to the team with consent; 30 days';

-- Published: what became of every team.
create view social.v_team as
  select cell, id as team_id, campaign_id, state, seats, reached, filled, fill_minor, opened_at, closes_at, ended_at,
         closed_at, why
    from social.team;

-- Published: who bought in which team, and by whose link they came.
create view social.v_team_member as
  select cell, team_id, campaign_id, order_id, person_id, is_leader, claimed_at, paid_at, left_at, share_token, came_by,
         invited_by
    from social.team_member;

-- Published: paid orders that are not sent yet because something has to happen first.
create view orders.v_waiting as
  select cell, id as order_id, state, waits_for from orders."order" where waits_for is not null and state = 'placed';
