-- Share links, who brought whom, and what is given for it.
create schema if not exists social;

create table social.invite_campaign (
  cell smallint not null default 0,
  id uuid not null,
  name jsonb not null,
  kind text not null check (kind in ('invite', 'promoter')), -- an invitation's reward, or a promoter's commission
  currency text not null,
  attribution text not null default 'last' check (attribution in ('first', 'last')),
  window_days smallint not null check (window_days between 1 and 180), -- how long an accepted invitation counts
  levels smallint not null default 1 check (levels between 1 and 2), -- deeper is pyramid selling in some countries
  inviter_minor bigint not null default 0 check (inviter_minor >= 0), -- store credit
  second_minor bigint not null default 0 check (second_minor >= 0), -- to who invited the inviter
  invitee_minor bigint not null default 0 check (invitee_minor >= 0),
  inviter_coupon_id uuid, -- a coupon instead of credit: paid for by its promotion's budget when it is used
  invitee_coupon_id uuid,
  commission_basis_points int not null default 0 check (commission_basis_points between 0 and 5000),
  commission_days smallint not null default 0 check (commission_days between 0 and 365), -- orders of the new buyer that count
  least_order_minor bigint not null default 0 check (least_order_minor >= 0),
  return_days smallint not null default 30 check (return_days between 0 and 180), -- what waits, from delivery
  rewards_most smallint not null default 20 check (rewards_most between 1 and 10000), -- of one person in so many days
  rewards_days smallint not null default 30 check (rewards_days between 1 and 365),
  budget_id uuid not null,
  state text not null default 'draft' check (state in ('draft', 'running', 'stopped')),
  starts_at timestamptz not null,
  ends_at timestamptz,
  created_at timestamptz not null,
  primary key (cell, id),
  check (levels = 2 or second_minor = 0),
  check (kind = 'promoter' or commission_basis_points = 0)
);

-- Who takes part; its row is locked while rewards are written, so that limits hold.
create table social.invite_member (
  cell smallint not null default 0,
  campaign_id uuid not null,
  person_id uuid not null,
  joined_at timestamptz not null,
  primary key (cell, campaign_id, person_id)
);
create index invite_member_person on social.invite_member (cell, person_id);
comment on column social.invite_member.person_id is 'pii: who takes part; until erasure';

create table social.share_link (
  cell smallint not null default 0,
  id uuid not null,
  token text not null,
  target text not null check (target in ('product', 'team', 'bargain', 'invite', 'newcomers')),
  target_key text not null check (target_key ~ '^[A-Za-z0-9_-]{0,120}$'), -- a slug, a token or an id: never an address
  person_id uuid, -- whose link it is
  campaign_id uuid, -- the invite campaign it counts for
  made_at timestamptz not null,
  primary key (cell, id),
  unique (cell, token)
);
create unique index share_link_once on social.share_link
  (cell, person_id, target, target_key, coalesce(campaign_id, '00000000-0000-0000-0000-000000000000'))
  where person_id is not null;
comment on column social.share_link.person_id is 'pii: whose link it is; until erasure';

create table social.share_clicks (
  cell smallint not null default 0,
  link_id uuid not null,
  on_date date not null,
  channel text not null,
  people bigint not null default 0,
  bots bigint not null default 0,
  primary key (cell, link_id, on_date, channel)
);

-- Who came by which link; within their session, or for the campaign's window once they accepted the invitation.
create table social.share_touch (
  cell smallint not null default 0,
  person_id uuid not null, -- also the guest that a visitor's session would become
  link_id uuid not null,
  channel text not null,
  at timestamptz not null, -- the first time by this link
  last_at timestamptz not null,
  accepted_at timestamptz,
  primary key (cell, person_id, link_id)
);
create index share_touch_age on social.share_touch (cell, last_at);
comment on column social.share_touch.person_id is 'pii: who came by whose link; 1 day, after accepting 180 days';

-- The one owner of a new buyer, written once with the first paid order.
create table social.attribution (
  cell smallint not null default 0,
  order_id uuid not null,
  campaign_id uuid not null,
  link_id uuid not null,
  parent_person_id uuid,
  child_person_id uuid,
  channel text not null,
  depth int not null check (depth >= 1), -- in the tree of this campaign; rewards go two levels up at most
  touched_at timestamptz not null,
  at timestamptz not null,
  verdict_id uuid,
  decision text not null check (decision in ('allow', 'review', 'deny')),
  primary key (cell, order_id),
  check (parent_person_id is null or parent_person_id <> child_person_id)
);
create unique index attribution_once on social.attribution (cell, child_person_id) where child_person_id is not null;
create index attribution_parent on social.attribution (cell, parent_person_id) where parent_person_id is not null;
create index attribution_campaign on social.attribution (cell, campaign_id, at);
comment on column social.attribution.parent_person_id is 'pii: who invited; until erasure';
comment on column social.attribution.child_person_id is 'pii: who was invited; until erasure';

create table social.reward (
  cell smallint not null default 0,
  id uuid not null,
  campaign_id uuid not null,
  order_id uuid not null, -- the order it is given for
  root_order_id uuid not null, -- the first paid order of the new buyer
  person_id uuid, -- who gets it
  role text not null check (role in ('inviter', 'second', 'invitee', 'commission')),
  level smallint not null check (level between 1 and 2), -- the hard cap
  kind text not null check (kind in ('credit', 'coupon', 'commission')),
  currency text not null,
  amount_minor bigint not null check (amount_minor >= 0), -- a coupon's cost is its promotion's
  base_minor bigint not null default 0, -- what the commission was reckoned from
  rate_basis_points int not null default 0, -- frozen when the order was placed
  least_order_minor bigint not null default 0, -- frozen too
  promotion_id uuid,
  coupon_id uuid,
  budget_id uuid not null,
  state text not null check (state in ('pending', 'review', 'released', 'reversed', 'refused')),
  why text, -- 'budget', 'limit', 'trust', 'refund', 'too_small', 'coupon'
  reversed_minor bigint not null default 0,
  at timestamptz not null,
  due_at timestamptz, -- when the return window is over; null until delivered
  released_at timestamptz,
  reversed_at timestamptz,
  payout_id uuid,
  primary key (cell, id),
  unique (cell, order_id, role),
  check (reversed_minor between 0 and amount_minor),
  check ((kind = 'coupon') = (promotion_id is not null)),
  check (state <> 'released' or released_at is not null)
);
create index reward_due on social.reward (cell, due_at) where state = 'pending';
create index reward_person on social.reward (cell, person_id, id desc) where person_id is not null;
create index reward_root on social.reward (cell, root_order_id);
create index reward_campaign on social.reward (cell, campaign_id, state, id desc);
comment on column social.reward.person_id is 'pii: who gets the reward; until erasure';

create table social.payout (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid,
  currency text not null,
  amount_minor bigint not null check (amount_minor > 0),
  at timestamptz not null,
  made_by text not null,
  primary key (cell, id)
);
create index payout_person on social.payout (cell, person_id, id desc) where person_id is not null;
comment on column social.payout.person_id is 'pii: who was paid; until erasure';

-- Published: who brought whom, and what was given for it.
create view social.v_share_edge as
  select cell, campaign_id, parent_person_id, child_person_id, at, depth, channel, order_id, decision from social.attribution;
create view social.v_reward as
  select cell, id as reward_id, campaign_id, role, level, kind, amount_minor, reversed_minor, currency, budget_id, state,
         person_id, order_id, at, due_at, released_at, reversed_at
    from social.reward;
create view social.v_share_clicks as
  select c.cell, l.campaign_id, l.person_id, l.target, c.link_id, c.on_date, c.channel, c.people, c.bots
    from social.share_clicks c join social.share_link l on l.cell = c.cell and l.id = c.link_id;
